use serde_json::json;

use super::*;
use crate::testing::{Xorshift, hostile_texts};

#[test]
fn ranges_follow_rfc45() {
    // text, shortest form, full form, its first values
    let rows: &[(&str, &str, &str, &[u32])] = &[
        ("1-5:2:+", "1-5:2", "1-5:2:+", &[1, 3, 5]),
        ("1-5:2", "1-5:2", "1-5:2:+", &[1, 3, 5]),
        ("1-4:1:+", "1-4", "1-4:1:+", &[1, 2, 3, 4]),
        ("1-4", "1-4", "1-4:1:+", &[1, 2, 3, 4]),
        ("[1-4:2:*]", "1-4:2:*", "1-4:2:*", &[1, 2, 4]),
        ("[100+]", "100+", "100+:1:+", &[100, 101, 102]),
        ("2-300:2:^", "2-300:2:^", "2-300:2:^", &[2, 4, 16, 256]),
        ("3+:10", "3+:10", "3+:10:+", &[3, 13, 23]),
        ("2+:2:^", "2+:2:^", "2+:2:^", &[2, 4, 16, 256, 65536]),
        ("7-7", "7-7", "7-7:1:+", &[7]),
    ];
    for (text, short, full, values) in rows {
        let range = ResourceRange::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((range.to_string().as_str(), range.encode_full().as_str()), (*short, *full), "input {text}");
        assert!(range.iter().take(values.len()).eq(values.iter().copied()), "input {text}");
        assert_eq!(ResourceRange::from_object(range.to_value().as_object().unwrap()), Ok(range), "input {text}");
        if range.max().is_some() {
            assert_eq!(range.iter().count(), values.len(), "input {text}");
        }
    }
}

#[test]
fn what_is_no_range_is_refused() {
    let rows = [
        "",
        "1",
        "0-4",
        "01-4",
        "1-04",
        "4-1",
        "1-",
        "-4",
        "1-4:",
        "1-4::",
        "1-4:0",
        "1-4:1:",
        "1-4:1:*",
        "1-4:1:^",
        "1-4:2:^",
        "1-4:2:x",
        "1-4:2:++",
        "1-4:2:+:1",
        "1+4",
        "++",
        "+",
        "[1-4",
        "1-4]",
        "[[1-4]]",
        "1-4294967296",
        "1 -4",
        "1-4:a",
    ];
    for text in rows {
        assert!(ResourceRange::parse(text).is_err(), "input {text:?}");
    }
    let objects = [
        json!({}),
        json!({"max": 4}),
        json!({"min": 0}),
        json!({"min": 2, "max": 1}),
        json!({"min": 1, "operand": 2}),
        json!({"min": 1, "operator": "+"}),
        json!({"min": 1, "operator": "++", "operand": 2}),
        json!({"min": 1, "operator": "^", "operand": 2}),
        json!({"min": 1.5}),
        json!({"min": -1}),
        json!({"min": "1"}),
        json!({"min": 1, "step": 1}),
        json!({"min": 1, "operator": "*", "operand": 1}),
    ];
    for object in objects {
        assert!(ResourceCount::from_value(&object).is_err(), "input {object}");
    }
    for value in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(null),
        json!([1]),
        json!("0"),
        json!("0-3"),
        json!(""),
        json!(4294967296u64),
    ] {
        assert!(ResourceCount::from_value(&value).is_err(), "input {value}");
    }
}

#[test]
fn counts_are_numbers_sets_or_ranges() {
    let rows = [
        (json!(4), "4", vec![4]),
        (json!("4"), "4", vec![4]),
        (json!("[4]"), "4", vec![4]),
        (json!("1-3,7"), "1-3,7", vec![1, 2, 3, 7]),
        (json!("1-3"), "1-3", vec![1, 2, 3]),
        (json!("2-8:2:*"), "2-8:2:*", vec![2, 4, 8]),
        (json!({"min": 1, "max": 3}), "1-3", vec![1, 2, 3]),
        (json!({"min": 2, "max": 20, "operator": "^", "operand": 2}), "2-20:2:^", vec![2, 4, 16]),
    ];
    for (value, text, numbers) in rows {
        let count = ResourceCount::from_value(&value).unwrap_or_else(|e| panic!("{value}: {e}"));
        assert_eq!(count.to_string(), text, "input {value}");
        let iterated: Vec<u32> = std::iter::successors(Some(count.first()), |n| count.next_after(*n)).collect();
        assert_eq!(iterated, numbers, "input {value}");
        assert_eq!(ResourceCount::from_value(&count.to_value()), Ok(count), "input {value}");
    }
}

#[test]
fn ranges_survive_text_and_object() {
    for seed in 1..2000u64 {
        let mut rng = Xorshift(seed);
        let operator = *rng.pick(&[Operator::Add, Operator::Multiply, Operator::Power]);
        let min = rng.below(50) as u32;
        let max = (rng.below(2) == 0).then(|| min.saturating_add(rng.below(100) as u32));
        let Ok(range) = ResourceRange::new(min, max, operator, rng.below(5) as u32) else { continue };
        assert_eq!(range.to_string().parse(), Ok(range), "seed {seed}");
        assert_eq!(range.encode_full().parse(), Ok(range), "seed {seed}");
        assert!(range.iter().take(50).is_sorted_by(|a, b| a < b), "seed {seed}");
    }
}

#[test]
fn hostile_counts_never_panic_and_what_parses_round_trips() {
    hostile_texts(23, &["1-5:2:+", "[1-4:2:*]", "100+", "2-300:2:^", "4", "1-3,7"], "0123456789-+:*^[],", |text| {
        if let Ok(count) = ResourceCount::parse(text) {
            assert_eq!(ResourceCount::from_value(&count.to_value()), Ok(count.clone()), "{text:?}");
            count.next_after(count.first());
        }
    });
}
