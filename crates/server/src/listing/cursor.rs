//! Cursors: where a list goes on, as a text that says nothing to a client.

use serde::{Deserialize, Serialize};

use super::sort::{Place, Sort};
use crate::problem::{Answer, Refused};

/// Where a list goes on, and in which order it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(rename = "s")]
    pub sort: Sort,
    #[serde(rename = "p")]
    pub place: Place,
}

impl Cursor {
    pub fn write(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        json.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn read(text: &str, sort: Sort) -> Answer<Self> {
        let wrong = || {
            let detail = "cursor is not one that this list gave; begin again without it.";
            Refused::invalid("cursor-invalid", detail)
        };
        let json = bytes_of_hex(text).ok_or_else(wrong)?;
        let cursor: Self = serde_json::from_slice(&json).map_err(|_| wrong())?;
        if cursor.sort == sort {
            Ok(cursor)
        } else {
            Err(wrong())
        }
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    if !text.len().is_multiple_of(2) || text.len() > 1024 {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?))
        .collect()
}
