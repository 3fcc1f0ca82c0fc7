use super::*;

#[test]
fn rfc_38_test_vectors_go_both_ways() {
    let rows: &[(&str, Kind, &str, &str)] = &[
        ("PATH", Kind::Text, "/bin:/usr/bin", "PATH\0s/bin:/usr/bin\0"),
        ("EMPTY_STRING", Kind::Text, "", "EMPTY_STRING\0s\0"),
        ("JOB_ID_STRING", Kind::Text, "ƒuzzybunny", "JOB_ID_STRING\0sƒuzzybunny\0"),
        ("INT_PLUS", Kind::Integer, "42", "INT_PLUS\0i42\0"),
        ("INT_MINUS", Kind::Integer, "-42", "INT_MINUS\0i-42\0"),
        ("INT64_MAX", Kind::Integer, "9223372036854775807", "INT64_MAX\0i9223372036854775807\0"),
        ("INT64_MIN", Kind::Integer, "-9223372036854775808", "INT64_MIN\0i-9223372036854775808\0"),
        ("DOUBLE", Kind::Double, "3.000000", "DOUBLE\0d3.000000\0"),
        ("DOUBLE_INF", Kind::Double, "inf", "DOUBLE_INF\0dinf\0"),
        ("FALSE", Kind::Boolean, "false", "FALSE\0bfalse\0"),
        ("TRUE", Kind::Boolean, "true", "TRUE\0btrue\0"),
        ("TIMESTAMP", Kind::Time, "2023-08-18T14:59:45Z", "TIMESTAMP\0t2023-08-18T14:59:45Z\0"),
    ];
    for (key, kind, value, encoded) in rows {
        let kv = Kv::decode(encoded.as_bytes()).expect(key);
        assert_eq!(kv.entries().collect::<Vec<_>>(), [(*key, *kind, *value)]);
        assert_eq!(kv.encode(), encoded.as_bytes(), "{key}");
    }
    let all: String = rows.iter().map(|row| row.3).collect();
    let kv = Kv::decode(all.as_bytes()).expect("all together");
    assert_eq!(kv.time("TIMESTAMP"), Some(1_692_370_785));
    assert_eq!(kv.integer("INT64_MIN"), Some(i64::MIN));
    assert_eq!((kv.boolean("TRUE"), kv.boolean("FALSE")), (Some(true), Some(false)));
    assert_eq!(kv.integer("PATH"), None, "types are never converted");
    assert_eq!(kv.encode(), all.as_bytes());
}

#[test]
fn what_is_not_rfc_38_is_refused() {
    let many: String = (0..=KV_ENTRIES_MAX).map(|n| format!("k{n}\0i1\0")).collect();
    let rows = [
        "a",
        "a\0",
        "a\0\0",
        "a\0x1\0",
        "a\0s1",
        "\0s1\0",
        "a\0i\0",
        "a\0i 1\0",
        "a\0i+1\0",
        "a\0i01\0",
        "a\0i1x\0",
        "a\0i9223372036854775808\0",
        "a\0bTrue\0",
        "a\0b1\0",
        "a\0dx\0",
        "a\0t2023-02-31T00:00:00Z\0",
        "a\0t2023-01-01T00:00:60Z\0",
        "a\0t2023-01-01T00:00:00\0",
        "a\0t1969-12-31T23:59:59Z\0",
        "a\0t2023-1-1T0:0:0Z\0",
        "a\0i1\0a\0i2\0",
        "a\0i1\0\0",
        &many,
    ];
    for encoded in rows {
        assert_eq!(Kv::decode(encoded.as_bytes()), None, "{encoded:?}");
    }
    assert_eq!(Kv::decode(b"a\0s\xff\0"), None);
    assert_eq!(Kv::default().put("a", Kind::Text, "x\0userid\0i0"), None, "a value cannot smuggle in an entry");
}

#[test]
fn times_go_both_ways_over_leap_years_and_centuries() {
    for seconds in [0, 951_782_399, 951_782_400, 951_868_800, 1_709_164_800, 4_107_542_400, 253_402_300_799] {
        assert_eq!(parse_time(&format_time(seconds)), Some(seconds), "{}", format_time(seconds));
    }
    assert_eq!(format_time(951_782_400), "2000-02-29T00:00:00Z");
    for day in 0..60_000 {
        assert_eq!(parse_time(&format_time(day * 86_400 + 7)), Some(day * 86_400 + 7));
    }
}

#[test]
fn prefixes_come_off_and_go_on() {
    let kv = Kv::decode(b"a.x\0i1\0b\0i2\0a.y\0sz\0").expect("valid");
    let split = kv.split("a.");
    assert_eq!(split.encode(), b"x\0i1\0y\0sz\0");
    let mut joined = Kv::default();
    assert_eq!(joined.join("c.", &split), Some(()));
    assert_eq!(joined.encode(), b"c.x\0i1\0c.y\0sz\0");
    assert_eq!(joined.join("c.", &split), None, "keys are there once");
}
