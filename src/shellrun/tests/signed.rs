use super::*;

#[test]
fn what_a_killed_shell_has_left_is_removed_and_what_others_use_is_not() {
    let home = std::env::temp_dir().join(format!("flux-signed-test-{}", std::process::id()));
    std::fs::create_dir(&home).expect("a directory");
    let [living, killed, new] = ["living", "killed", "new"].map(|name| home.join(name));
    let outside = home.with_extension("outside");
    std::fs::write(&outside, "").expect("a file");
    for dir in [&living, &killed, &new] {
        std::fs::create_dir(dir).expect("a directory");
    }
    std::os::unix::fs::symlink(&outside, killed.join("link")).expect("a link");
    let lock = File::open(&living).expect("it is there");
    lock.try_lock().expect("nobody else has it");
    for dir in [&living, &killed] {
        let long_ago = std::time::SystemTime::now() - 2 * SETTLED;
        File::open(dir).and_then(|dir| dir.set_modified(long_ago)).expect("it is ours");
    }
    let private = private(&home).expect("room");
    let left = [&living, &killed, &new, &outside, &private.path].map(|path| path.exists());
    assert_eq!(left, [true, false, true, true, true], "links are removed and not followed");
    let path = private.path.clone();
    drop(private);
    assert!(!path.exists());
    std::fs::remove_dir_all(&home).and_then(|()| std::fs::remove_file(&outside)).expect("it is ours");
}
