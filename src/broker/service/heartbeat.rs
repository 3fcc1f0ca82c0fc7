//! `heartbeat`: tells the instance that rank 0 lives, with the event `heartbeat.pulse`.

use std::time::Duration;

use flux_service::{Cx, Fault, Handler, Mono, Outcome, Service};
use flux_wire::{Errno, Message, Payload};
use serde_json::{Value, json};

/// flux-config-heartbeat(5): `period`, in seconds or as a duration.
const PERIOD_DEFAULT: Duration = Duration::from_secs(2);

pub struct Heartbeat {
    period: Duration,
    next: Option<Mono>,
    count: u64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat { period: PERIOD_DEFAULT, next: None, count: 0 }
    }
}

impl Service for Heartbeat {
    const NAME: &'static str = "heartbeat";
    const HANDLERS: &'static [Handler<Self>] = &[Handler::owner("heartbeat.stats-get", Heartbeat::stats_get)];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        if cx.node.rank.is_root() {
            self.next = Some(cx.now.mono.after(self.period));
        }
        Ok(())
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)
    }

    fn next_timer(&self) -> Option<Mono> {
        self.next
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.next.is_none_or(|at| cx.now.mono < at) {
            return;
        }
        self.count += 1;
        cx.publish("heartbeat.pulse", Payload::None);
        self.next = Some(cx.now.mono.after(self.period)); // From now: a late root does not burst.
    }
}

impl Heartbeat {
    fn configure(&mut self, cx: &Cx<'_>) -> Result<(), Fault> {
        let Some(value) = cx.node.config_at("heartbeat.period") else { return Ok(()) };
        let secs = match value {
            Value::String(text) => flux_types::parse_fsd(text),
            other => other.as_f64(),
        };
        match secs {
            Some(secs) if secs.is_finite() && secs > 0.0 => {
                self.period = Duration::from_secs_f64(secs);
                Ok(())
            }
            _ => Err(Fault::new(Errno::EINVAL, "heartbeat.period must be a duration above 0, such as \"2s\"")),
        }
    }

    fn stats_get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let period = self.period.as_secs_f64();
        cx.respond(request, json!({"period": period, "timeout": 300.0, "count": self.count, "warn_thresh": 3}));
        Ok(())
    }
}
