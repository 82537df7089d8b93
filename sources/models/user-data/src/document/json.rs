//! JSON values and places.

use super::{Refusal, Root, SETTINGS};
use crate::place::{Place, Places};
use serde_json::{Map, Value};

pub(super) fn parse(text: &str) -> Result<Root, Refusal> {
    let mut members: Map<String, Value> = serde_json::from_str(text).map_err(|e| syntax(text, &e))?;
    let places = Scanner { text, at: 0 }.value();
    Ok(Root { settings: members.remove(SETTINGS), places })
}

fn syntax(text: &str, error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    // The parser repeats the place at the end of its message.
    let message = message.split_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    let lines_before = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let offset = lines_before.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    Refusal { offset, what: format!("is not JSON: {message}") }
}

/// Walks a text that is known to be JSON, and notes where the members of objects stand.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    /// Passes one value. Of what is in lists no places are kept: a setting is a whole list.
    fn value(&mut self) -> Places {
        match self.peek() {
            b'{' => return self.object(),
            b'[' => {
                self.at += 1;
                while self.peek() != b']' {
                    self.value();
                    self.pass(b',');
                }
                self.at += 1;
            }
            b'"' => drop(self.string()),
            _ => {
                let rest = &self.text[self.at..];
                self.at += rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
            }
        }
        Places::new()
    }

    fn object(&mut self) -> Places {
        let mut places = Places::new();
        self.at += 1;
        while self.peek() == b'"' {
            let offset = self.at;
            let name = self.string();
            self.pass(b':');
            let below = self.value();
            places.insert(name, Place { offset, below });
            self.pass(b',');
        }
        self.at += 1;
        places
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'\\') => self.at += 2,
                Some(b'"') | None => break,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_str(&self.text[start..self.at]).expect("the whole text was JSON")
    }

    fn pass(&mut self, wanted: u8) {
        if self.peek() == wanted {
            self.at += 1;
        }
    }

    /// The next byte that is not blank; 0 at the end.
    fn peek(&mut self) -> u8 {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\n', '\r', '\t']).len();
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
}
