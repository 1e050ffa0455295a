//! What a running program tells and takes by HTTP, to and from this machine only.
//!
//! | request | answer |
//! |---|---|
//! | `GET /streams` | what is listened to, how it is, and what it heard last |
//! | `GET /classes` | the classes of each sense, with the bank that events name |
//! | `PUT /classes/NAME` | adds or replaces a class, as `{"prompts": ["…"], "modalities": ["…"]}` |
//! | `DELETE /classes/NAME` | takes it out |
//! | `GET /events` | events as they come, as Server-Sent Events |
//! | `GET /metrics` | counts, as Prometheus reads them |
//!
//! A page of another site must not change what a machine listens for, nor listen with it: requests that
//! name another host, or come from another origin, are refused.

mod board;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use percent_encoding::percent_decode_str;
use sensorium_engine::classes::{Background, Class, Classes};
use serde_json::{Map, Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::roster::Roster;

pub use board::Board;

/// Longest class that is taken, in bytes.
const MAX_BODY: u64 = 1 << 16;

/// How often a listener is told that there is nothing, so that one who left is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A status and what is said with it.
type Answer = (u16, Value);

/// Serves until the program ends. Returns the address, with the port that was found if that was 0.
pub fn serve(
    address: SocketAddr,
    roster: Arc<Roster>,
    board: Arc<Board>,
) -> anyhow::Result<SocketAddr> {
    ensure!(
        address.ip().is_loopback(),
        "--http {address}: expected an address of this machine only, such as 127.0.0.1:7420"
    );
    let server = Server::http(address).map_err(|error| anyhow!(error));
    let server = server.with_context(|| format!("--http {address}"))?;
    let address = server.server_addr().to_ip().context("no address")?;
    thread::spawn(move || {
        for request in server.incoming_requests() {
            // Who left before the answer has it not.
            let _ = answer(request, address.port(), &roster, &board);
        }
    });
    Ok(address)
}

fn answer(mut request: Request, port: u16, roster: &Roster, board: &Arc<Board>) -> io::Result<()> {
    if let Err(why) = check_origin(request.headers(), port) {
        return respond(request, (403, json!({ "error": why })));
    }
    let url = request
        .url()
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned();
    let answer = match (request.method().clone(), &*url) {
        (Method::Get, "/streams") => (200, board.streams()),
        (Method::Get, "/classes") => (200, classes(roster)),
        (Method::Get, "/metrics") => {
            let kind = header("Content-Type", "text/plain; version=0.0.4");
            let response = Response::from_string(board.metrics());
            return request.respond(kind.into_iter().fold(response, Response::with_header));
        }
        (Method::Get, "/events") => {
            let Some(events) = board.listen() else {
                let why = "too many listeners";
                return respond(request, (503, json!({ "error": why })));
            };
            let writer = request.into_writer();
            // It ends when its listener leaves.
            thread::spawn(move || tell(writer, &events));
            return Ok(());
        }
        (Method::Put, url) => match name_of(url) {
            Some(name) => put(&mut request, name, roster),
            None => not_found(),
        },
        (Method::Delete, url) => match name_of(url) {
            Some(name) => delete(&name, roster),
            None => not_found(),
        },
        _ => not_found(),
    };
    respond(request, answer)
}

fn not_found() -> Answer {
    let known =
        "expected GET /streams, /classes, /events, /metrics, or PUT or DELETE /classes/NAME";
    (404, json!({ "error": known }))
}

/// The class that a path names.
fn name_of(url: &str) -> Option<String> {
    let name = url
        .strip_prefix("/classes/")
        .filter(|name| !name.is_empty())?;
    Some(percent_decode_str(name).decode_utf8().ok()?.into_owned())
}

fn delete(name: &str, roster: &Roster) -> Answer {
    match roster.remove(name) {
        Ok(true) => (200, json!({ "removed": name })),
        Ok(false) => (404, json!({ "error": format!("no class {name:?}") })),
        Err(error) => (422, json!({ "error": format!("{error:#}") })),
    }
}

fn put(request: &mut Request, name: String, roster: &Roster) -> Answer {
    let mut body = Vec::new();
    let read = request
        .as_reader()
        .take(MAX_BODY + 1)
        .read_to_end(&mut body);
    match read {
        Ok(len) if len as u64 <= MAX_BODY => {}
        Ok(_) => {
            return (
                413,
                json!({ "error": format!("more than {MAX_BODY} bytes") }),
            );
        }
        Err(error) => return (400, json!({ "error": error.to_string() })),
    }
    let class = match parse(name, &body) {
        Ok(class) => class,
        Err(error) => return (400, json!({ "error": format!("{error:#}") })),
    };
    match roster.put(class.clone()) {
        Ok(()) => (200, json!(class)),
        Err(error) => (422, json!({ "error": format!("{error:#}") })),
    }
}

/// A class as a request has it: as in `classes.toml`, in JSON and without its name.
fn parse(name: String, body: &[u8]) -> anyhow::Result<Class> {
    let mut keys: Map<String, Value> = match body.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(body).context("expected a JSON object")?,
    };
    ensure!(
        keys.insert("name".to_owned(), name.into()).is_none(),
        "the class is named by the address, not by \"name\""
    );
    let class = serde_json::from_value(Value::Object(keys))?;
    let file = Classes {
        classes: vec![class],
        background: Background::default(),
        something_else: Default::default(),
        temperature: Default::default(),
    };
    file.checked()?.classes.pop().context("no class")
}

fn classes(roster: &Roster) -> Value {
    let of_sense = roster.loaded().iter().map(|recognition| {
        let bank = recognition.slot.get();
        json!({
            "modality": recognition.sense.modality(),
            "pack": recognition.pack_id,
            "bank": bank.id(),
            "classes": bank.classes(),
        })
    });
    of_sense.collect()
}

/// Whether a request was made by a program of this machine, or a page of ours.
fn check_origin(headers: &[Header], port: u16) -> Result<(), String> {
    let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
    let value = |name: &'static str| {
        let header = headers.iter().find(|header| header.field.equiv(name));
        header.map(|header| header.value.as_str())
    };
    let host = value("Host").unwrap_or_default();
    if !hosts.iter().any(|known| known == host) {
        return Err(format!("host {host:?} is not this machine"));
    }
    if let Some(origin) = value("Origin")
        && !hosts
            .iter()
            .any(|known| format!("http://{known}") == origin)
    {
        return Err(format!("origin {origin:?} is another site"));
    }
    match value("Sec-Fetch-Site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err("the request is made by another site".to_owned()),
    }
}

fn header(name: &str, value: &str) -> Option<Header> {
    Header::from_bytes(name, value).ok()
}

fn respond(request: Request, (status, said): Answer) -> io::Result<()> {
    let response = Response::from_string(format!("{said}\n")).with_status_code(status);
    let kind = header("Content-Type", "application/json");
    request.respond(kind.into_iter().fold(response, Response::with_header))
}

/// Tells a listener what happens until one of both leaves.
fn tell(mut writer: Box<dyn Write + Send>, events: &Receiver<Arc<str>>) -> io::Result<()> {
    writer.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
          Connection: close\r\n\r\n",
    )?;
    writer.flush()?;
    loop {
        match events.recv_timeout(KEEP_ALIVE) {
            Ok(event) => writer.write_all(event.as_bytes())?,
            Err(RecvTimeoutError::Timeout) => writer.write_all(b":\n\n")?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        writer.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&str, &str)]) -> Option<String> {
        let of = |(name, value): &(&str, &str)| Header::from_bytes(*name, *value).unwrap();
        let headers: Vec<Header> = headers.iter().map(of).collect();
        check_origin(&headers, 7420).err()
    }

    #[test]
    fn only_this_machine_may_ask() {
        let host = ("Host", "localhost:7420");
        assert_eq!(refused(&[host]), None);
        assert_eq!(refused(&[host, ("Origin", "http://127.0.0.1:7420")]), None);
        // A name that another site has made point here.
        assert!(refused(&[("Host", "evil.example:7420")]).is_some());
        assert!(refused(&[("Host", "localhost:80")]).is_some() && refused(&[]).is_some());
        assert!(refused(&[host, ("Origin", "https://evil.example")]).is_some());
        assert!(refused(&[host, ("Origin", "null")]).is_some());
        assert!(refused(&[host, ("Sec-Fetch-Site", "cross-site")]).is_some());
    }

    #[test]
    fn classes_are_as_in_their_file() {
        let class = parse("hum".to_owned(), b"").unwrap();
        assert_eq!(
            (class.name.as_str(), &class.prompts[..]),
            ("hum", &["hum".to_owned()][..])
        );
        let class = parse(
            "hum".into(),
            br#"{"prompts": ["low"], "modalities": ["audio"]}"#,
        );
        assert_eq!(class.unwrap().prompts, ["low"]);
        let error = |body: &[u8]| format!("{:#}", parse("hum".into(), body).unwrap_err());
        assert!(error(b"[]").contains("expected a JSON object"));
        assert!(error(br#"{"promts": []}"#).contains("unknown field `promts`"));
        assert!(error(br#"{"name": "x"}"#).contains("named by the address"));
        assert!(error(br#"{"prompts": [""]}"#).contains("empty prompt"));
        assert_eq!(name_of("/classes/my%20gate").as_deref(), Some("my gate"));
        assert_eq!(name_of("/classes/").or(name_of("/classes")), None);
    }
}
