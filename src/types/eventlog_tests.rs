use super::*;
use crate::testing::hostile_texts;

const RFC18: &str = r#"{"timestamp":1552593348.073045,"name":"submit","context":{"urgency":16,"userid":5588,"flags":0}}
{"timestamp":1552593547.411336,"name":"urgency","context":{"urgency":0,"userid":5588}}
{"timestamp":1552593348.088391,"name":"alloc","context":{"note":"rank0/core[0-1]"}}
{"timestamp":1552593348.093541,"name":"free"}
{"timestamp":1552593348.089787,"name":"start"}
{"timestamp":1552593348.09283,"name":"release","context":{"ranks":"all","final":true}}
{"timestamp":1552593348.090927,"name":"finish","context":{"status":0}}
{"timestamp":1552593348.104432,"name":"clean"}
"#;

#[test]
fn the_rfc18_example_reads_and_writes_the_same_bytes() {
    let events = decode(RFC18).unwrap();
    assert_eq!(events.len(), 8);
    assert_eq!(events[0].get("urgency"), Some(&16.into()));
    assert_eq!(encode(&events), RFC18);
}

#[test]
fn walking_a_log_borrows_names_and_contexts_from_it() {
    let mut walk = entries(RFC18);
    let first = walk.next().unwrap().unwrap();
    assert!(matches!(first.name, Cow::Borrowed("submit")));
    assert_eq!(first.context_json(), Some(r#"{"urgency":16,"userid":5588,"flags":0}"#));
    assert!(RFC18.as_bytes().as_ptr_range().contains(&first.context_json().unwrap().as_ptr()));
    assert_eq!(walk.map(|event| event.unwrap().name.into_owned()).last().as_deref(), Some("clean"));
}

#[test]
fn bad_lines_are_refused_with_their_reason() {
    let rows = [
        ("", "EOF while parsing"),
        ("{}", "missing field `timestamp`"),
        (r#"{"timestamp":1}"#, "missing field `name`"),
        (r#"{"name":"a"}"#, "missing field `timestamp`"),
        (r#"{"timestamp":"1","name":"a"}"#, "invalid type"),
        (r#"{"timestamp":1,"name":5}"#, "invalid type"),
        (r#"{"timestamp":-1,"name":"a"}"#, "timestamp must be"),
        (r#"{"timestamp":1e999,"name":"a"}"#, "number out of range"),
        (r#"{"timestamp":1,"name":""}"#, "name is empty"),
        (r#"{"timestamp":1,"name":"a","context":5}"#, "context must be an object"),
        (r#"{"timestamp":1,"name":"a","context":[]}"#, "context must be an object"),
        (r#"{"timestamp":1,"name":"a"}x"#, "trailing characters"),
        ("{\"timestamp\":1,\n\"name\":\"a\"}", "more than one line"),
        ("[1]", "not an object"),
        (r#"[1,"a",{}]"#, "not an object"),
        ("5", "invalid type"),
    ];
    for (line, want) in rows {
        let got = parse_line(line).map(|_| ()).unwrap_err().to_string();
        assert!(got.contains(want), "line {line:?}: {got}");
    }
}

#[test]
fn a_log_that_ends_inside_a_line_is_refused() {
    for cut in [RFC18.trim_end(), &RFC18[..RFC18.len() - 5]] {
        assert_eq!(decode(cut), Err(EventlogError::NoNewline));
    }
    assert_eq!(decode(""), Ok(Vec::new()));
    assert!(decode("\n").is_err());
}

#[test]
fn a_bad_line_does_not_end_the_walk() {
    let log = "{\"timestamp\":1.0,\"name\":\"a\"}\nnoise\n{\"timestamp\":2.0,\"name\":\"b\"}\n";
    let good: Vec<_> = entries(log).map(|event| event.ok().map(|event| event.name.into_owned())).collect();
    assert_eq!(good, [Some("a".to_owned()), None, Some("b".to_owned())]);
}

#[test]
fn timestamps_keep_microseconds_and_stay_reals() {
    for (seconds, text) in [(0.0, "0.0"), (1.0, "1.0"), (1605115080.0358412, "1605115080.0358412")] {
        let line = Entry::new(seconds, "x").encode();
        assert_eq!(line, format!("{{\"timestamp\":{text},\"name\":\"x\"}}\n"));
    }
    for micros in 0..2000u64 {
        let seconds = 1_700_000_000.0 + (micros * 499) as f64 / 1e6;
        assert_eq!(Entry::parse(&Entry::new(seconds, "x").encode()).unwrap().timestamp, seconds);
    }
}

#[test]
fn an_entry_travels_as_a_value_too() {
    for event in decode(RFC18).unwrap() {
        assert_eq!(Entry::from_value(event.to_value()), Ok(event));
    }
    assert!(Entry::from_value(Value::Null).is_err());
    assert!(Entry::from_value(serde_json::json!({"timestamp": 1, "name": "a", "context": null})).is_err());
}

#[test]
fn hostile_logs_never_panic_and_what_reads_also_writes() {
    let samples: Vec<&str> = RFC18.split_inclusive('\n').collect();
    hostile_texts(18, &samples, "{}[]\":,0123456789.e-timesampn\\u", |text| {
        for event in entries(text).flatten().filter_map(|event| event.to_entry().ok()) {
            assert_eq!(Entry::parse(&event.encode()), Ok(event));
        }
    });
}
