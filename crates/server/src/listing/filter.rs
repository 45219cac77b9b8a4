//! Which objects a list holds.

use std::str::FromStr;

use super::Listed;
use crate::problem::{Refused, quoted};

const MAX_TERMS: usize = 16;

/// All terms must be true.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Term>);

#[derive(Debug, PartialEq, Eq)]
enum Term {
    Name { contains: String },
    Phase { is: String },
    Label { key: String, is: String },
}

impl Filter {
    pub fn accepts(&self, object: &impl Listed) -> bool {
        self.0.iter().all(|term| match term {
            Term::Name { contains } => object.name().as_str().contains(contains.as_str()),
            Term::Phase { is } => object.phase() == is,
            Term::Label { key, is } => object.metadata().labels.get(key) == Some(is),
        })
    }
}

impl FromStr for Filter {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.split(',').count() > MAX_TERMS {
            return Err(Refused::invalid(
                "filter-invalid",
                "filter takes at most 16 terms.",
            ));
        }
        text.split(',')
            .map(term)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn term(text: &str) -> Result<Term, Refused> {
    if let Some(contains) = text.strip_prefix("name~") {
        // Names are lower case.
        return Ok(Term::Name {
            contains: contains.to_ascii_lowercase(),
        });
    }
    match text.split_once('=') {
        Some(("phase", is)) => return Ok(Term::Phase { is: is.to_owned() }),
        Some((label, is)) => {
            if let Some(key) = label.strip_prefix("label.") {
                return Ok(Term::Label {
                    key: key.to_owned(),
                    is: is.to_owned(),
                });
            }
        }
        None => {}
    }
    let detail = format!(
        "{} is not a filter; write name~TEXT, phase=PHASE or label.KEY=VALUE, with commas between.",
        quoted(text)
    );
    Err(Refused::invalid("filter-invalid", detail))
}
