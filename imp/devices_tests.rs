use super::*;

/// Runs a program as the kernel would, for what it uses.
fn allows(program: &[u64], context: [u32; 3]) -> bool {
    let mut registers = [0_u64; 16];
    let mut at = 0;
    loop {
        let word = program[at];
        let (code, to, from) = (word as u8, (word >> 8 & 15) as usize, (word >> 12 & 15) as usize);
        let (skip, value) = ((word >> 16) as u16, (word >> 32) as u32);
        at += 1;
        match code {
            0x61 => registers[to] = u64::from(context[usize::from(skip) / 4]),
            0xbf => registers[to] = registers[from],
            0x57 => registers[to] &= u64::from(value),
            0x45 if registers[to] & u64::from(value) != 0 => at += usize::from(skip),
            0x55 if registers[to] != u64::from(value) => at += usize::from(skip),
            0x45 | 0x55 => {}
            0xb7 => registers[to] = u64::from(value),
            0x95 => return registers[0] == 1,
            other => panic!("{other:x}"),
        }
    }
}

const BLOCK: u32 = 1;
const CHAR: u32 = 2;
const MKNOD: u32 = 1 << 16;
const READ: u32 = 2 << 16;
const WRITE: u32 = 4 << 16;

#[test]
fn what_is_listed_may_be_opened_and_nothing_else() {
    let program = program("c:1:3:rw b:7:*:r c:195:255:m").expect("well-formed");
    let rows = [
        (CHAR | READ, 1, 3, true),
        (CHAR | READ | WRITE, 1, 3, true),
        (CHAR | MKNOD, 1, 3, false),
        (CHAR | READ | MKNOD, 1, 3, false),
        (BLOCK | READ, 1, 3, false),
        (CHAR | READ, 1, 4, false),
        (CHAR | READ, 2, 3, false),
        (BLOCK | READ, 7, 0, true),
        (BLOCK | READ, 7, 99, true),
        (BLOCK | WRITE, 7, 99, false),
        (CHAR | MKNOD, 195, 255, true),
        (CHAR | READ, 195, 255, false),
    ];
    for (asked, major, minor, want) in rows {
        assert_eq!(allows(&program, [asked, major, minor]), want, "{asked:x} {major}:{minor}");
    }
    let none = super::program("").expect("well-formed");
    assert!(!allows(&none, [CHAR | READ, 1, 3]));
}

#[test]
fn a_malformed_list_is_no_program() {
    for text in ["c", "c:1:3", "x:1:3:r", "c:1:3:x", "c:-1:3:r", "c:1:x:r", "c:1:3:r:", "c:4294967296:3:r", "c::3:r"] {
        assert_eq!(program(text), None, "{text}");
    }
    assert!(program(&"c:1:3:r ".repeat(DEVICES_MAX)).is_some());
    assert!(program(&"c:1:3:r ".repeat(DEVICES_MAX + 1)).is_none());
}
