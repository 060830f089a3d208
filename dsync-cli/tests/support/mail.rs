//! Varied messages, the same in every run.

use std::fmt::Write;

/// A message and how to append it.
#[derive(Clone, Debug)]
pub struct Mail {
    pub bytes: Vec<u8>,
    /// Flags and internal date as APPEND takes them.
    pub attributes: String,
}

const SUBJECTS: [&str; 6] = ["Lunch", "Re: Lunch", "=?utf-8?Q?M=C3=BCll?=", "Rechnung 4711", "[list] patch", ""];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Message number `number`. Ten shapes take turns, sizes and headers vary from one to the next.
pub fn message(number: usize) -> Mail {
    let headers = headers(number);
    let text = text(number);
    let bytes = match number % 10 {
        0 => crlf(&format!("{headers}\n{text}")).into_bytes(),
        1 => crlf(&multipart(&headers, &text)).into_bytes(),
        2 => [format!("{headers}\n").as_bytes(), b"caf\xe9 \xff\xfe\x80 raw bytes\n", text.as_bytes()].concat(),
        3 => crlf(&format!("{headers}\n{}\n{text}", "long line ".repeat(300 + number))).into_bytes(),
        4 => crlf(&format!("{headers}\n{text}no newline at the end")).into_bytes(),
        5 => crlf(&format!("{headers}\n")).into_bytes(),
        6 => crlf(headers.trim_end()).into_bytes(),
        7 => format!("{headers}\n{text}").replace("e\n", "e\r\n").into_bytes(),
        8 => crlf(&format!("{headers}\n{text}From somebody\n>From nobody\n.\n..\n\n\n")).into_bytes(),
        _ => crlf(&format!("{headers}\n{text}a lone \r in a line\n\ttab\x0c\x1b\x7f\n")).into_bytes(),
    };
    Mail { bytes, attributes: attributes(number) }
}

/// A small plain message, as a client on the other side would add it.
pub fn plain(subject: &str) -> Vec<u8> {
    crlf(&format!("From: a@example.org\nTo: b@example.org\nSubject: {subject}\n\nThis is about {subject}.\n")).into()
}

fn headers(number: usize) -> String {
    let mut headers = String::new();
    let day = number % 28 + 1;
    let month = MONTHS[number % 12];
    writeln!(headers, "Date: {day} {month} 2019 12:{:02}:00 +0200", number % 60).unwrap();
    writeln!(headers, "From: Sender {number} <sender{number}@example.org>").unwrap();
    writeln!(headers, "To: recipient@example.org,\n\tsecond@example.org").unwrap();
    writeln!(headers, "Subject: {}", SUBJECTS[number % SUBJECTS.len()]).unwrap();
    // Some share a Message-ID, and some have none.
    if !number.is_multiple_of(7) {
        writeln!(headers, "Message-ID: <{}@example.org>", number / 2).unwrap();
    }
    headers
}

fn text(number: usize) -> String {
    (0..number % 23).fold(String::new(), |mut text, line| {
        writeln!(text, "Line {line} of message {number}, grüße").unwrap();
        text
    })
}

fn multipart(headers: &str, text: &str) -> String {
    format!(
        "{headers}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=-x\"\n\npreamble\n--=-x\n\
         Content-Type: text/plain; charset=utf-8\n\n{text}\n--=-x\nContent-Type: application/octet-stream\n\
         Content-Transfer-Encoding: base64\n\nAAECAwQFBgcICQ==\n--=-x--\nepilogue\n"
    )
}

fn attributes(number: usize) -> String {
    let flags = ["", "\\Seen", "\\Answered \\Seen", "\\Flagged", "\\Draft", "\\Deleted", "\\Seen $Forwarded"];
    let zone = ["+0000", "+0200", "-0730"][number % 3];
    // One in eleven takes the time of its arrival.
    let date = match number % 11 {
        0 => String::new(),
        _ => {
            let (day, month, year) = (number % 28 + 1, MONTHS[number % 12], 1995 + number % 30);
            format!(" \"{day:02}-{month}-{year} {:02}:{:02}:07 {zone}\"", number % 24, number % 60)
        }
    };
    format!("({}){date}", flags[number % flags.len()])
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}
