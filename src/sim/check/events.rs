//! Events: each subscriber hears all of them from when it subscribed, once, in the order of their numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_broker::ConnId;
use flux_wire::{Body, Message};

#[derive(Debug)]
struct Published {
    began: Duration,
    /// The life of rank 0 when it began.
    life: u32,
    /// Its number, if it was acknowledged within that life.
    seq: Option<u64>,
}

#[derive(Debug, Default)]
struct Subscriber {
    since: Option<Duration>,
    /// Since when its broker has had a way to rank 0.
    reachable: Option<Duration>,
    /// Number and event.
    heard: Vec<(u64, usize)>,
    gone: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    all: Vec<Published>,
    subscribers: BTreeMap<ConnId, Subscriber>,
    /// The life of rank 0 now.
    life: u32,
}

impl Events {
    pub(crate) fn begin(&mut self, _client: usize, life: u32, now: Duration) -> usize {
        self.all.push(Published { began: now, life, seq: None });
        self.all.len() - 1
    }

    pub(crate) fn published(&mut self, event: usize, life: u32, seq: Option<u64>) {
        self.life = self.life.max(life);
        let event = &mut self.all[event];
        event.seq = seq.filter(|_| event.life == life);
    }

    pub(crate) fn subscribed(&mut self, conn: ConnId, now: Duration) {
        self.subscribers.entry(conn).or_default().since = Some(now);
    }

    pub(crate) fn reachable(&mut self, conn: ConnId, now: Duration) {
        self.subscribers.entry(conn).or_default().reachable.get_or_insert(now);
    }

    pub(crate) fn gone(&mut self, conn: ConnId) {
        if let Some(subscriber) = self.subscribers.get_mut(&conn) {
            subscriber.gone = true;
        }
    }

    /// Answers what is wrong with it.
    pub(crate) fn heard(&mut self, conn: ConnId, message: &Message) -> Option<String> {
        let Body::Event { seq } = message.body else { return None };
        let body = message.payload.value().ok()?;
        let event = body["n"].as_u64()? as usize;
        if self.all.get(event).is_none() || message.topic() != format!("sim.{}", event % 3) {
            return Some(format!("hears event {event} ({}), which nobody published", message.topic()));
        }
        let subscriber = self.subscribers.entry(conn).or_default();
        let last = subscriber.heard.last().map(|(seq, _)| *seq);
        subscriber.heard.push((u64::from(seq), event));
        match last {
            Some(last) if last >= u64::from(seq) => Some(format!("hears event number {seq} after {last}")),
            _ => None,
        }
    }

    pub(crate) fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (conn, subscriber) in &self.subscribers {
            wrong.extend(self.judge_one(*conn, subscriber));
        }
        wrong
    }

    fn judge_one(&self, conn: ConnId, subscriber: &Subscriber) -> Option<String> {
        let since = subscriber.since?.max(subscriber.reachable?);
        let heard: BTreeMap<usize, u64> = subscriber.heard.iter().map(|(seq, event)| (*event, *seq)).collect();
        if heard.len() != subscriber.heard.len() {
            return Some(format!("connection {} heard an event twice", conn.0));
        }
        let highest = subscriber.heard.last().map_or(0, |(seq, _)| *seq);
        let life = subscriber.heard.iter().map(|(_, event)| self.all[*event].life).max();
        for (at, event) in self.all.iter().enumerate() {
            let Some(seq) = event.seq.filter(|_| event.began > since) else { continue };
            if heard.get(&at).is_some_and(|known| *known != seq) {
                return Some(format!("connection {} heard event {at} as number {}, not {seq}", conn.0, heard[&at]));
            }
            // A connection that has ended may lack the last ones, one that has not may lack none.
            let due = if subscriber.gone { life == Some(event.life) && seq < highest } else { event.life == self.life };
            if due && !heard.contains_key(&at) {
                return Some(format!("connection {} did not hear event {at} (number {seq})", conn.0));
            }
        }
        None
    }
}
