//! Many points in a treap that knows the least and the most use below every node: all questions in O(log n).

use super::Time;
use super::flat::Point;

const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    time: Time,
    used: i64,
    /// Still to be added to both children and everything below them.
    pending: i64,
    least: i64,
    most: i64,
    refs: u32,
    heap: u32,
    left: u32,
    right: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
    seed: u32,
}

impl Tree {
    pub(super) fn from_points(points: &[Point]) -> Tree {
        let mut tree =
            Tree { nodes: Vec::with_capacity(points.len() * 2), free: Vec::new(), root: NIL, seed: 0x9e37_79b9 };
        for point in points {
            let node = tree.make(*point);
            tree.root = tree.join(tree.root, node);
        }
        tree
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    fn make(&mut self, point: Point) -> u32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        let Point { time, used, refs } = point;
        let node =
            Node { time, used, pending: 0, least: used, most: used, refs, heap: self.seed, left: NIL, right: NIL };
        match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        }
    }

    fn lift(&mut self, at: u32, by: i64) {
        if at != NIL && by != 0 {
            let node = &mut self.nodes[at as usize];
            node.used += by;
            node.pending += by;
            node.least += by;
            node.most += by;
        }
    }

    fn push_down(&mut self, at: u32) {
        let Node { pending, left, right, .. } = self.nodes[at as usize];
        if pending != 0 {
            self.lift(left, pending);
            self.lift(right, pending);
            self.nodes[at as usize].pending = 0;
        }
    }

    fn refresh(&mut self, at: u32) {
        let Node { used, left, right, .. } = self.nodes[at as usize];
        let (mut least, mut most) = (used, used);
        for child in [left, right] {
            if child != NIL {
                least = least.min(self.nodes[child as usize].least);
                most = most.max(self.nodes[child as usize].most);
            }
        }
        let node = &mut self.nodes[at as usize];
        (node.least, node.most) = (least, most);
    }

    fn join(&mut self, left: u32, right: u32) -> u32 {
        if left == NIL {
            return right;
        }
        if right == NIL {
            return left;
        }
        if self.nodes[left as usize].heap > self.nodes[right as usize].heap {
            self.push_down(left);
            let below = self.nodes[left as usize].right;
            self.nodes[left as usize].right = self.join(below, right);
            self.refresh(left);
            left
        } else {
            self.push_down(right);
            let below = self.nodes[right as usize].left;
            self.nodes[right as usize].left = self.join(left, below);
            self.refresh(right);
            right
        }
    }

    /// Splits into points before `time` and points at or after it.
    fn split(&mut self, at: u32, time: Time) -> (u32, u32) {
        if at == NIL {
            return (NIL, NIL);
        }
        self.push_down(at);
        if self.nodes[at as usize].time < time {
            let below = self.nodes[at as usize].right;
            let (near, far) = self.split(below, time);
            self.nodes[at as usize].right = near;
            self.refresh(at);
            (at, far)
        } else {
            let below = self.nodes[at as usize].left;
            let (near, far) = self.split(below, time);
            self.nodes[at as usize].left = far;
            self.refresh(at);
            (near, at)
        }
    }

    fn find(&self, time: Time) -> Option<u32> {
        let mut at = self.root;
        while at != NIL {
            let node = &self.nodes[at as usize];
            match time.cmp(&node.time) {
                std::cmp::Ordering::Equal => return Some(at),
                std::cmp::Ordering::Less => at = node.left,
                std::cmp::Ordering::Greater => at = node.right,
            }
        }
        None
    }

    pub(super) fn used_at(&self, time: Time) -> i64 {
        let (mut at, mut pending, mut used) = (self.root, 0, 0);
        while at != NIL {
            let node = &self.nodes[at as usize];
            if node.time <= time {
                used = node.used + pending;
                pending += node.pending;
                at = node.right;
            } else {
                pending += node.pending;
                at = node.left;
            }
        }
        used
    }

    pub(super) fn peak(&self, start: Time, end: Time) -> i64 {
        let inner = self.peak_below(self.root, 0, (Time::MIN, Time::MAX), (start, end));
        self.used_at(start).max(inner.unwrap_or(0))
    }

    /// The most use among points strictly after `want.0` and before `want.1`; `span` bounds this subtree.
    fn peak_below(&self, at: u32, pending: i64, span: (Time, Time), want: (Time, Time)) -> Option<i64> {
        if at == NIL || span.1 <= want.0 || span.0 >= want.1 {
            return None;
        }
        let node = &self.nodes[at as usize];
        if span.0 > want.0 && span.1 < want.1 {
            return Some(node.most + pending);
        }
        let below = pending + node.pending;
        let mine = (node.time > want.0 && node.time < want.1).then_some(node.used + pending);
        let left = self.peak_below(node.left, below, (span.0, node.time - 1), want);
        let right = self.peak_below(node.right, below, (node.time.saturating_add(1), span.1), want);
        mine.max(left).max(right)
    }

    fn pin(&mut self, time: Time) {
        if let Some(at) = self.find(time) {
            self.nodes[at as usize].refs += 1;
            return;
        }
        let used = self.used_at(time);
        let (before, after) = self.split(self.root, time);
        let node = self.make(Point { time, used, refs: 1 });
        let left = self.join(before, node);
        self.root = self.join(left, after);
    }

    fn unpin(&mut self, time: Time) {
        let at = self.find(time).expect("a span ends where a point is");
        self.nodes[at as usize].refs -= 1;
        if self.nodes[at as usize].refs == 0 {
            let (before, rest) = self.split(self.root, time);
            let (_, after) = self.split(rest, time + 1);
            self.root = self.join(before, after);
            self.free.push(at);
        }
    }

    fn shift(&mut self, start: Time, end: Time, by: i64) {
        if by != 0 {
            let (before, rest) = self.split(self.root, start);
            let (inside, after) = self.split(rest, end);
            self.lift(inside, by);
            let left = self.join(before, inside);
            self.root = self.join(left, after);
        }
    }

    pub(super) fn add(&mut self, start: Time, end: Time, units: i64) {
        self.pin(start);
        self.pin(end);
        self.shift(start, end, units);
    }

    pub(super) fn remove(&mut self, start: Time, end: Time, units: i64) {
        self.shift(start, end, -units);
        self.unpin(start);
        self.unpin(end);
    }

    pub(super) fn reduce(&mut self, start: Time, end: Time, units: i64) {
        self.shift(start, end, -units);
    }

    pub(super) fn next_low(&self, time: Time, limit: i64) -> Option<Time> {
        self.next_below(self.root, 0, time, &|least, _| least <= limit, &|used| used <= limit)
    }

    pub(super) fn next_high(&self, time: Time, limit: i64) -> Option<Time> {
        self.next_below(self.root, 0, time, &|_, most| most > limit, &|used| used > limit)
    }

    /// The first point at or after `time` that is `wanted`, entering only subtrees that may hold one.
    fn next_below(
        &self,
        at: u32,
        pending: i64,
        time: Time,
        may: &impl Fn(i64, i64) -> bool,
        wanted: &impl Fn(i64) -> bool,
    ) -> Option<Time> {
        if at == NIL {
            return None;
        }
        let node = &self.nodes[at as usize];
        if !may(node.least + pending, node.most + pending) {
            return None;
        }
        let below = pending + node.pending;
        if node.time < time {
            return self.next_below(node.right, below, time, may, wanted);
        }
        if let Some(found) = self.next_below(node.left, below, time, may, wanted) {
            return Some(found);
        }
        if wanted(node.used + pending) {
            return Some(node.time);
        }
        self.next_below(node.right, below, time, may, wanted)
    }
}
