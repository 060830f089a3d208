//! The words and signs of which a variable is made up.

use super::super::VariableError;

/// The rest of a text in which a variable was found.
pub(super) struct Tokens<'a> {
    pub(super) rest: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Sign(char),
}

impl Tokens<'_> {
    pub(super) fn next(&mut self) -> Result<Token, VariableError> {
        let text = self.rest.trim_start_matches([' ', '\t']);
        let broken = || VariableError::Syntax(format!("%{{ ... {text}"));
        let first = text.chars().next().ok_or_else(broken)?;
        let (token, length) = match first {
            '"' | '\'' => {
                let mut plain = String::new();
                let mut escaped = false;
                let mut end = None;
                for (position, character) in text.char_indices().skip(1) {
                    match character {
                        _ if escaped => {
                            plain.push(match character {
                                'n' => '\n',
                                'r' => '\r',
                                't' => '\t',
                                other => other,
                            });
                            escaped = false;
                        }
                        '\\' => escaped = true,
                        _ if character == first => {
                            end = Some(position + 1);
                            break;
                        }
                        _ => plain.push(character),
                    }
                }
                (Token::Text(plain), end.ok_or_else(broken)?)
            }
            '0'..='9' => {
                let length = text.bytes().take_while(u8::is_ascii_digit).count();
                (Token::Number(text.get(..length).and_then(|digits| digits.parse().ok()).ok_or_else(broken)?), length)
            }
            _ if is_of_name(first) => {
                let length = text.find(|character| !is_of_name(character)).unwrap_or(text.len());
                (Token::Name(text.get(..length).unwrap_or_default().to_owned()), length)
            }
            other => (Token::Sign(other), other.len_utf8()),
        };
        self.rest = text.get(length..).unwrap_or_default();
        Ok(token)
    }

    pub(super) fn peek(&self) -> Result<Token, VariableError> {
        Tokens { rest: self.rest }.next()
    }

    /// Goes on if the next is this sign.
    pub(super) fn take(&mut self, sign: char) -> Result<bool, VariableError> {
        let taken = self.peek()? == Token::Sign(sign);
        if taken {
            self.next()?;
        }
        Ok(taken)
    }

    pub(super) fn broken<T>(&self) -> Result<T, VariableError> {
        Err(VariableError::Syntax(format!("%{{ ... {}", self.rest)))
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':' | '.')
}
