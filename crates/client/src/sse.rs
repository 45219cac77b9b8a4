//! The line format of server-sent events (WHATWG HTML, section 9.2), as a parser that is fed bytes.

/// The longest event that is taken. An object has at most 1 MiB.
const MAX_EVENT: usize = 4 << 20;

/// One dispatched event. `data` is empty where a block carried only an id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) id: Option<String>,
}

/// An event over its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The parser: what was received and is not yet a whole event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    message: Message,
    has_data: bool,
    /// A CR was the last byte: a LF after it belongs to it.
    after_cr: bool,
}

impl Parser {
    /// Takes bytes, and hands over each event that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Message>) -> Result<(), TooLong> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(out),
                _ if self.line.len() + self.message.data.len() >= MAX_EVENT => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, out: &mut Vec<Message>) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if line.is_empty() {
            self.dispatch(out);
        } else {
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            self.field(field, value.strip_prefix(' ').unwrap_or(value));
        }
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.message.event),
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, out: &mut Vec<Message>) {
        let message = std::mem::take(&mut self.message);
        if std::mem::take(&mut self.has_data) || message.id.is_some() {
            out.push(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Message> {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.feed(chunk, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut_and_lines_end() {
        let text =
            ": ready\nid: 41\n\nevent: put\nid: 42\ndata: {\"a\":\ndata:1}\n\n: beat\n\ndata\n\n";
        let whole = parse(&[text.as_bytes()]);
        assert_eq!(whole.len(), 3);
        assert_eq!(
            (whole[0].id.as_deref(), whole[0].data.as_str()),
            (Some("41"), "")
        );
        assert_eq!(
            (whole[1].event.as_str(), whole[1].data.as_str()),
            ("put", "{\"a\":\n1}")
        );
        for ending in ["\n", "\r\n", "\r"] {
            let other = text.replace('\n', ending);
            for cut in 0..other.len() {
                let (front, back) = other.as_bytes().split_at(cut);
                assert_eq!(parse(&[front, back]), whole, "{ending:?} {cut}");
            }
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        let mut out = Vec::new();
        let chunk = vec![b'x'; 1 << 20];
        let fed: Vec<_> = (0..5).map(|_| parser.feed(&chunk, &mut out)).collect();
        assert_eq!(fed.last(), Some(&Err(TooLong)));
    }
}
