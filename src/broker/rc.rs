//! What the site has run beside the services' own start and stop, and what systemd is told of the run levels.

use flux_service::SpawnSpec;

use crate::node::{Node, Output};
use crate::state::RunLevel;

/// Gives every file of a directory to `flux cron tab`: the program, and the directory.
const LOAD_CRONTABS: &str =
    r#"for file in "$1"/*; do test ! -f "$file" || "$0" cron tab "$file" >/dev/null || exit 1; done"#;

/// Runs all programs in `rc1.d` (or `rc3.d`, as its name is) of each directory, and fails if one of them does.
const RUN_SCRIPTS: &str = r#"code=0
for dir; do
    for file in "$dir/$0.d"/*; do
        if test -f "$file" && test -x "$file"; then
            echo "running $file"
            "$file" || { echo "$file failed with exit code $?" >&2; code=1; }
        fi
    done
done
exit $code"#;

impl Node {
    /// What the site has run at this point: the command that it names, or scripts.
    fn rc(&self, name: &str) -> Vec<SpawnSpec> {
        let attr = format!("broker.{name}_path");
        if self.attrs.get(&attr).is_some() {
            return self.site_command(&attr).into_iter().collect();
        }
        if self.core.rc_dirs.is_empty() {
            return Vec::new();
        }
        let words = ["/bin/sh", "-c", RUN_SCRIPTS, name].map(str::to_owned).into_iter();
        let argv = words.chain(self.core.rc_dirs.iter().cloned()).collect();
        vec![SpawnSpec { argv, ..SpawnSpec::default() }]
    }

    /// A command that the site names, for a shell.
    fn site_command(&self, attr: &str) -> Option<SpawnSpec> {
        let command = self.attrs.get(attr).filter(|command| !command.is_empty())?;
        let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()];
        Some(SpawnSpec { argv, ..SpawnSpec::default() })
    }

    pub(crate) fn start_rc1(&mut self) {
        let mut commands = self.rc("rc1");
        let crontabs = self.attrs.get("cron.directory").filter(|path| self.info.rank.is_root() && !path.is_empty());
        if let (Some(path), Some(pid)) = (crontabs, self.attrs.get("broker.pid")) {
            let program = format!("/proc/{pid}/exe");
            let argv = ["/bin/sh", "-c", LOAD_CRONTABS, &program, path].map(str::to_owned).to_vec();
            commands.push(SpawnSpec { argv, ..SpawnSpec::default() });
        }
        self.core.state.rc = commands.into();
        self.next_rc();
    }

    pub(crate) fn start_rc3(&mut self) {
        self.core.state.rc = self.rc("rc3").into();
        self.next_rc();
    }

    fn next_rc(&mut self) {
        match self.core.state.rc.pop_front() {
            Some(spec) => self.start_logged(spec),
            None => self.core.state.rc_done = true,
        }
    }

    /// What fails once fails again: with `broker.exit-norestart` systemd is told not to try. In recovery mode it is no matter.
    pub(crate) fn rc1_done(&mut self, code: i32) {
        if code == 0 || self.attrs.get("broker.recovery-mode").is_some() {
            return self.next_rc();
        }
        self.core.state.end_with(self.norestart().unwrap_or(code));
        self.enter("rc1-fail", RunLevel::Shutdown);
    }

    /// The exit code that tells systemd not to start the broker again.
    pub(crate) fn norestart(&self) -> Option<i32> {
        let code = self.attrs.get("broker.exit-norestart").and_then(|text| text.parse().ok());
        code.filter(|code| (1..256).contains(code))
    }

    /// Tells who is to repair the instance where he is.
    pub(crate) fn welcome_to_recovery(&mut self) {
        let attr = |name: &str| self.attrs.get(name).filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
        let statedir = match self.attrs.get("statedir-cleanup") {
            Some("0") => attr("statedir"),
            _ => "temporary: nothing of it is kept".to_owned(),
        };
        let lines = [
            "flux: this instance is being recovered: no resource is online, no job starts, no other broker joins."
                .to_owned(),
            "flux: what rc1 could not do, if it said so above, is still to be done by hand.".to_owned(),
            format!("flux: configuration {}, statedir {statedir}", attr("config.path")),
            format!("flux: rc1 {}, rc3 {}", attr("broker.rc1_path"), attr("broker.rc3_path")),
            "flux: leave the shell to end the instance.".to_owned(),
        ];
        self.outputs.extend(lines.map(|line| Output::Stderr { line }));
    }

    fn notifies(&self) -> bool {
        self.attrs.get("broker.sd-notify").is_some_and(|text| !matches!(text, "" | "0"))
    }

    pub(crate) fn tell_systemd(&mut self, level: RunLevel) {
        if !self.notifies() {
            return;
        }
        let is_root = self.info.rank.is_root();
        let status = match level {
            RunLevel::Join if is_root => "READY=1".to_owned(),
            RunLevel::Join => {
                let parent = self.attrs.get("tbon.parent-endpoint").unwrap_or("?");
                format!("READY=1\nSTATUS=Joining Flux instance via {parent}")
            }
            RunLevel::ConfigSync if !is_root => "STATUS=Fetching configuration update from parent".to_owned(),
            RunLevel::Quorum => "STATUS=Waiting for instance quorum".to_owned(),
            RunLevel::Run => {
                let part = if is_root { "leader" } else { "member" };
                format!("STATUS=Running as {part} of {} node Flux instance", self.info.size)
            }
            RunLevel::Shutdown => "STOPPING=1\nSTATUS=Waiting for overlay peers to shutdown".to_owned(),
            RunLevel::Exit => "STATUS=Exiting".to_owned(),
            _ => String::new(),
        };
        let mut text = status;
        if let Some(more) = self.stop_extension() {
            text = format!("{more}\n{text}");
        }
        if !text.is_empty() {
            self.outputs.push(Output::Notify { text: text.trim_end().to_owned() });
        }
    }

    /// While it makes progress on its way out, systemd is to wait.
    fn stop_extension(&self) -> Option<String> {
        let span = crate::tbon::duration(&self.attrs, "broker.sd-stop-timeout")?;
        self.core.state.stop_is_timed.then(|| format!("EXTEND_TIMEOUT_USEC={}", span.as_micros()))
    }

    /// systemd has asked the broker to end.
    pub(crate) fn time_stop(&mut self) {
        if self.notifies() {
            self.core.state.stop_is_timed = true;
            if let Some(text) = self.stop_extension() {
                self.outputs.push(Output::Notify { text });
            }
        }
    }
}
