use super::*;
use crate::testing::{Xorshift, hostile_texts};

/// One row per id: every form, as RFC 19 prints them or flux-core 0.88 encodes them.
const ROWS: &[(u64, [&str; 6])] = &[
    (
        6731191091817518,
        [
            "0x17e9fb8df16c2e",
            "0017.e9fb.8df1.6c2e",
            "ƒuZZybuNNy",
            "fuZZybuNNy",
            "reform-remote-galileo--heart-package-academy",
            "👩💅📓😸👑🚓",
        ],
    ),
    (
        12345678901234567,
        [
            "0x2bdc545d6b4b87",
            "002b.dc54.5d6b.4b87",
            "ƒ2fQP3uiEDL",
            "f2fQP3uiEDL",
            "quebec-cliff-precise--cipher-cinema-acrobat",
            "🌱📻🎴🌔🔟🍀",
        ],
    ),
    (
        1099511627775,
        [
            "0xffffffffff",
            "0000.00ff.ffff.ffff",
            "ƒVtB5VXc",
            "fVtB5VXc",
            "natural-analyze-verbal--exact-academy-academy",
            "😘💠🎠🔴📚",
        ],
    ),
    (42, ["0x2a", "0000.0000.0000.002a", "ƒj", "fj", "arizona-academy-academy--academy-academy-academy", "👺"]),
    (0, ["0x0", "0000.0000.0000.0000", "ƒ1", "f1", "academy-academy-academy--academy-academy-academy", "😃"]),
    (
        u64::MAX,
        [
            "0xffffffffffffffff",
            "ffff.ffff.ffff.ffff",
            "ƒjpXCZedGfVQ",
            "fjpXCZedGfVQ",
            "natural-analyze-verbal--natural-analyze-verbal",
            "🚹💗💧👗😷📷📚",
        ],
    ),
];

#[test]
fn every_form_of_rfc19_encodes_and_decodes() {
    let forms =
        [JobIdForm::Hex, JobIdForm::Dothex, JobIdForm::F58, JobIdForm::F58Plain, JobIdForm::Words, JobIdForm::Emoji];
    for (id, texts) in ROWS {
        assert_eq!(JobId::parse(&id.to_string()), Ok(JobId(*id)));
        assert_eq!(JobId(*id).encode(JobIdForm::Kvs), format!("job.{}", texts[1]));
        for (form, text) in forms.into_iter().zip(texts) {
            assert_eq!(JobId(*id).encode(form), *text, "{id} as {form:?}");
            assert_eq!(JobId::parse(text), Ok(JobId(*id)), "{text}");
            assert_eq!(JobId::parse(&format!(" \t\x0b{text}\r\n")), Ok(JobId(*id)), "{text} in space");
        }
    }
}

#[test]
fn the_other_examples_of_rfc19_agree_with_each_other() {
    let rows = [
        ("0xedaf97d000000", "000e.daf9.7d00.0000"),
        ("0xedaf97d000000", "job.000e.daf9.7d00.0000"),
        ("random-idea-yoyo--sugar-printer-academy", "RANDOM.IDEA"),
    ];
    assert_eq!(JobId::parse(rows[0].0), JobId::parse(rows[0].1));
    assert_eq!(JobId::parse(rows[1].0), JobId::parse(rows[1].1));
    for text in
        ["random-idea-yoyo--sugar-printer-academy", "ƒZemgA8Bzf", "ƒ278oEf7zGf", "😄😹🎇📥🏧🙉🔞", "🚹💂🈳💰🎩🏃"]
    {
        let id = JobId::parse(text).unwrap_or_else(|e| panic!("{e}"));
        assert!(JobIdForm::ALL.iter().any(|form| id.encode(*form) == text), "{text}");
    }
    assert_eq!(JobId::parse("Random-IDEA-yoyo--sugar-printer-academy"), JobId::parse(rows[2].0));
}

#[test]
fn what_is_no_job_id_is_refused() {
    let rows = [
        "",
        " ",
        "f",
        "ƒ",
        "0x",
        "job.",
        "f0",
        "fl",
        "12 3",
        "12a",
        "-5",
        "+5",
        "0xg",
        "1.2.3",
        "1.2.3.4.5",
        "1.2..4",
        "12345.1.1.1",
        "+1.1.1.1",
        "18446744073709551616",
        "0x10000000000000000",
        "fjpXCZedGfVR",
        "fzzzzzzzzzzzz",
        "😄😄😄😄😄😄😄😄",
        "academy-academy",
        "academy-academy-academy--academy-academy-nosuch",
        "academy-academy-academy--academy-academy-ego",
        "academy-academy-academy-academy-academy-academy-academy",
        "yes-no",
        "academy-academy-amen--academy-academy-academy",
        "💩x",
        "0X10",
    ];
    for text in rows {
        assert!(JobId::parse(text).is_err(), "input {text:?}");
    }
}

#[test]
fn ids_survive_every_form() {
    for seed in 1..400u64 {
        let mut rng = Xorshift(seed);
        let id = JobId(rng.next() >> rng.below(64));
        for form in JobIdForm::ALL {
            assert_eq!(JobId::parse(&id.encode(form)), Ok(id), "seed {seed} {form:?}");
        }
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(JobIdForm::from_name("F58"), Some(JobIdForm::F58));
    }
}

#[test]
fn hostile_job_ids_never_panic_and_what_parses_round_trips() {
    let samples = [
        "6731191091817518",
        "0x17e9fb8df16c2e",
        "job.0017.e9fb.8df1.6c2e",
        "ƒuZZybuNNy",
        "🚹💂🙌😳💱🏃",
        "reform-remote-galileo--heart-package-academy",
    ];
    hostile_texts(7, &samples, "0123456789abcdefxƒ.-jobZz😃", |text| {
        if let Ok(id) = JobId::parse(text) {
            for form in JobIdForm::ALL {
                assert_eq!(JobId::parse(&id.encode(form)), Ok(id), "{text:?}");
            }
        }
    });
}

#[test]
fn generated_ids_rise_and_carry_their_three_parts() {
    let mut generator = FluidGenerator::new(5, 100).unwrap();
    assert_eq!(generator.generate(100), Ok(JobId(100 << 24 | 5 << 10)));
    assert_eq!(generator.generate(100), Ok(JobId(100 << 24 | 5 << 10 | 1)));
    assert_eq!(generator.generate(90), Ok(JobId(100 << 24 | 5 << 10 | 2)), "a clock that steps back repeats nothing");
    assert_eq!(generator.generate(101), Ok(JobId(101 << 24 | 5 << 10)));
    assert_eq!(generator.timestamp_ms(), 101);
    assert_eq!(JobId(101 << 24 | 5 << 10).timestamp_ms(), 101);
}

#[test]
fn a_millisecond_gives_1024_ids_and_then_says_when_to_ask_again() {
    let mut generator = FluidGenerator::new(16383, 0).unwrap();
    for sequence in 0..1024 {
        assert_eq!(generator.generate(7), Ok(JobId(7 << 24 | 16383 << 10 | sequence)));
    }
    assert_eq!(generator.generate(7), Err(FluidError::Busy { retry_at_ms: 8 }));
    assert_eq!(generator.generate(8), Ok(JobId(8 << 24 | 16383 << 10)));
}

#[test]
fn generators_out_of_range_are_refused() {
    assert_eq!(FluidGenerator::new(16384, 0).unwrap_err(), FluidError::BadGenerator { got: 16384 });
    assert_eq!(FluidGenerator::new(0, 1 << 40).unwrap_err(), FluidError::LifetimeOver);
    let mut generator = FluidGenerator::new(0, 0).unwrap();
    assert_eq!(generator.generate(1 << 40), Err(FluidError::LifetimeOver));
    assert_eq!(generator.generate((1 << 40) - 1).unwrap().timestamp_ms(), (1 << 40) - 1);
}
