use super::*;
use std::os::fd::OwnedFd;

#[test]
fn what_a_child_writes_is_bounded_in_length_and_time() {
    let written = |content: &[u8]| {
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        nix::unistd::write(&writer, content).expect("written");
        (File::from(reader), writer)
    };
    let read = |file: &mut File| {
        let mut out = Vec::new();
        read_bounded(file, 4, 20, &mut out).map(|()| out)
    };
    let (mut open, kept): (File, OwnedFd) = written(b"good");
    assert_eq!(read(&mut open), Err("no answer within 20 ms".into()), "the other end stays open");
    drop(kept);
    let (mut long, closed) = written(b"5 byte");
    drop(closed);
    assert_eq!(read(&mut long), Err("more than 4 bytes".into()));
    let (mut good, closed) = written(b"good");
    drop(closed);
    assert_eq!(read(&mut good), Ok(b"good".to_vec()));
    let mut directory = File::open("/").expect("opened");
    assert_eq!(read(&mut directory), Err("read: Is a directory (os error 21)".into()));
}

#[test]
fn a_process_is_killed_only_if_it_is_still_who_is_meant() {
    let mut child = std::process::Command::new("/bin/sleep").arg("100").spawn().expect("sleep(1) is there");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a number"));
    assert_eq!(privileged::kill_if(pid, || false), Ok(()));
    assert_eq!(child.try_wait().expect("ours"), None);
    assert_eq!(privileged::kill_if(pid, || true), Ok(()));
    assert!(!child.wait().expect("ours").success());
    assert_eq!(privileged::kill_if(pid, || true), Err(Errno::ESRCH));
}
