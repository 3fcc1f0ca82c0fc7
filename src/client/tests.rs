//! Against a broker of our own making: a thread at the other end of a socket pair.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

use flux_wire::{Body, Errno, FrameReader, Message, Payload, Target, decode, encode, write_frame};
use serde_json::json;

use super::*;

/// The other end: greets with `greeting`, then answers each message with what `answer` gives.
fn serve(
    mut stream: UnixStream,
    greeting: u8,
    mut answer: impl FnMut(Message) -> Vec<Message> + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        stream.write_all(&[greeting]).unwrap();
        let mut reader = FrameReader::default();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            reader.push(&bytes[..count]);
            while let Some(body) = reader.next_frame().unwrap() {
                for message in answer(decode(body).unwrap()) {
                    let mut out = Vec::new();
                    write_frame(&mut out, |out| out.extend(encode(&message)));
                    let _ = stream.write_all(&out);
                }
            }
        }
    })
}

fn connected(answer: impl FnMut(Message) -> Vec<Message> + Send + 'static) -> (Handle, JoinHandle<()>) {
    let (here, there) = UnixStream::pair().unwrap();
    (Handle::from_stream(here).unwrap(), serve(there, 0, answer))
}

#[test]
fn a_call_gets_its_answer_or_the_services_error() {
    let (mut flux, broker) = connected(|request| match request.topic() {
        "attr.get" => vec![request.response(json!({"value": "0", "flags": 1}).into())],
        "empty.get" => vec![request.response(Payload::None)],
        topic => vec![request.error_response(Errno::ENOSYS, &format!("No service matching {topic} is registered"))],
    });
    assert_eq!(flux.call("attr.get", Target::Any, json!({})).unwrap()["value"], "0");
    assert_eq!(flux.call("empty.get", Target::Any, json!({})).unwrap(), json!(null));
    let error = flux.call("no.such", Target::Any, Payload::None).unwrap_err();
    assert_eq!((error.errno(), &*error.to_string()), (Errno::ENOSYS, "No service matching no.such is registered"));
    assert_eq!(flux.outstanding(), 0);
    drop(flux);
    broker.join().unwrap();
}

#[test]
fn immutable_attributes_are_asked_for_once() {
    let mut asked = 0;
    let (mut flux, _broker) = connected(move |request| {
        asked += 1;
        let name = request.payload.value().unwrap()["name"].as_str().unwrap().to_owned();
        let flags = u32::from(name == "rank");
        vec![request.response(json!({"value": asked.to_string(), "flags": flags}).into())]
    });
    assert_eq!(flux.rank().unwrap(), Rank(1));
    assert_eq!(flux.rank().unwrap(), Rank(1));
    assert_eq!(flux.attr("log-level").unwrap(), "2");
    assert_eq!(flux.attr("log-level").unwrap(), "3");
}

#[test]
fn a_stream_ends_at_enodata_and_other_errors_come_through() {
    let (mut flux, _broker) = connected(|request| {
        let end = if request.topic() == "good.watch" { Errno::ENODATA } else { Errno::EPERM };
        assert!(request.is_streaming());
        let mut answers: Vec<_> = (0..3).map(|n| request.response(json!({"n": n}).into())).collect();
        answers.push(request.error_response(end, ""));
        answers
    });
    let got: Vec<_> = flux.stream("good.watch", Target::Any, json!({})).unwrap().map(Result::unwrap).collect();
    assert_eq!(got, [json!({"n": 0}), json!({"n": 1}), json!({"n": 2})]);
    let got: Vec<_> = flux.stream("bad.watch", Target::Any, json!({})).unwrap().collect();
    assert_eq!(got.len(), 4);
    assert_eq!(got[3].as_ref().unwrap_err().errno(), Errno::EPERM);
    assert_eq!(flux.outstanding(), 0);
}

#[test]
fn ten_thousand_requests_share_one_connection() {
    const COUNT: u32 = 10_000;
    let mut held = Vec::new();
    let (mut flux, _broker) = connected(move |request| {
        held.push(request.response(json!({"id": request.matchtag()}).into()));
        // The answers come late and in the opposite order.
        if held.len() as u32 == COUNT { held.drain(..).rev().collect() } else { Vec::new() }
    });
    let body = json!({"J": "x".repeat(500)});
    let mut open: std::collections::BTreeSet<Ticket> =
        (0..COUNT).map(|_| flux.send("job-ingest.submit", Target::Any, body.clone(), false).unwrap()).collect();
    while !open.is_empty() {
        let Some(Incoming::Response { ticket, last: true, message }) = flux.next(None).unwrap() else {
            panic!("only responses come")
        };
        assert!(open.remove(&ticket));
        assert_eq!(message.decode::<serde_json::Value>().unwrap()["id"], ticket.0);
    }
    assert_eq!(flux.outstanding(), 0);
}

#[test]
fn events_and_requests_arrive_between_responses_and_nothing_is_lost() {
    let (mut flux, _broker) = connected(|message| match (message.topic(), message.body) {
        ("1000-mine.hello", Body::Response { errnum: 0, .. }) => {
            vec![Message::event("got", json!({"it": message.payload.value().unwrap()["you"]}).into())]
        }
        ("event.subscribe", _) => vec![
            Message::event("early", json!({"a": 1}).into()),
            Message::request("1000-mine.hello", Target::Any, 9, json!({}).into()),
            message.response(Payload::None),
        ],
        _ => vec![message.response(Payload::None)],
    });
    flux.register("1000-mine").unwrap();
    flux.subscribe("").unwrap();
    assert_eq!(flux.next_event(None).unwrap().unwrap().topic(), "early");
    let Some(Incoming::Request(request)) = flux.next(None).unwrap() else { panic!("the request waited") };
    flux.respond(&request, json!({"you": "there"})).unwrap();
    let event = flux.next_event(None).unwrap().unwrap();
    assert_eq!(*event.payload.value().unwrap(), json!({"it": "there"}));
    assert_eq!(flux.next(Some(Duration::from_millis(1))).unwrap(), None);
}

#[test]
fn a_call_that_takes_too_long_is_given_up_and_its_late_answer_dropped() {
    let mut late = None;
    let (mut flux, _broker) = connected(move |request| match request.topic() {
        "slow.get" => {
            late = Some(request.response(json!({}).into()));
            vec![]
        }
        _ => late.take().into_iter().chain([request.response(json!({"ok": true}).into())]).collect(),
    });
    flux.set_timeout(Some(Duration::from_millis(20)));
    let error = flux.call("slow.get", Target::Any, json!({})).unwrap_err();
    assert_eq!(error.to_string(), "slow.get: no answer within 0.020 s");
    flux.set_timeout(Some(Duration::from_secs(20)));
    assert_eq!(flux.call("quick.get", Target::Any, json!({})).unwrap(), json!({"ok": true}));
    assert_eq!(flux.next(Some(Duration::ZERO)).unwrap(), None);
}

#[test]
fn a_refused_client_is_told_why() {
    let (here, there) = UnixStream::pair().unwrap();
    let mut flux = Handle::from_stream(here).unwrap();
    let broker = serve(there, 1, |_| vec![]);
    let error = flux.call("attr.get", Target::Any, json!({"name": "rank"})).unwrap_err();
    assert_eq!(error.errno(), Errno::EPERM);
    assert!(error.to_string().contains("does not admit this user"), "{error}");
    drop(flux);
    broker.join().unwrap();
}

#[test]
fn a_lost_broker_is_found_again_with_subscriptions_and_services() {
    let dir = std::env::temp_dir().join(format!("flux-client-{}", std::process::id()));
    let _ = std::fs::remove_file(&dir);
    let listener = UnixListener::bind(&dir).unwrap();
    let broker = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (stream, _) = listener.accept().unwrap();
            let (tell, heard) = std::sync::mpsc::channel();
            let closer = stream.try_clone().unwrap();
            serve(stream, 0, move |request| {
                tell.send(request.topic().to_owned()).unwrap();
                if request.topic() == "die.now" {
                    closer.shutdown(std::net::Shutdown::Both).unwrap();
                }
                vec![request.response(json!({}).into())]
            })
            .join()
            .unwrap();
            seen.push(heard.into_iter().collect::<Vec<_>>());
        }
        seen
    });
    let mut flux = Handle::open_uri(&format!("local://{}", dir.display())).unwrap();
    flux.subscribe("job-").unwrap();
    flux.register("1000-mine").unwrap();
    let error = flux.call("die.now", Target::Any, json!({})).unwrap_err();
    assert!(error.is_lost(), "{error}");
    flux.reconnect(5).unwrap();
    flux.call("after.all", Target::Any, json!({})).unwrap();
    drop(flux);
    let seen = broker.join().unwrap();
    assert_eq!(seen[0], ["event.subscribe", "service.add", "die.now"]);
    assert_eq!(seen[1], ["event.subscribe", "service.add", "after.all"]);
    std::fs::remove_file(dir).unwrap();
}

#[test]
fn a_socket_that_is_not_there_is_explained() {
    let options = Options { retries: 1, ..Options::default() };
    let error = Handle::open_with("local:///nowhere/local-0", options).unwrap_err();
    assert_eq!(error.errno(), Errno::ENOENT);
    assert!(error.to_string().starts_with("no broker answers at local:///nowhere/local-0"), "{error}");
}
