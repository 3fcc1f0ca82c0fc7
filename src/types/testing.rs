//! Helpers of this crate's tests: a seeded generator and text mutation.

/// Marsaglia's xorshift64. The seed must not be 0.
pub(crate) struct Xorshift(pub(crate) u64);

impl Xorshift {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// Calls `check` with 10,000 texts: the samples, mutated, and noise made of `alphabet`.
pub(crate) fn hostile_texts(seed: u64, samples: &[&str], alphabet: &str, mut check: impl FnMut(&str)) {
    let mut rng = Xorshift(seed);
    let alphabet: Vec<char> = alphabet.chars().chain(['\0', 'é', '💩', ' ', '\n', '"']).collect();
    for round in 0..10_000 {
        let mut text: Vec<char> = match round % 4 {
            0 => (0..rng.below(24)).map(|_| *rng.pick(&alphabet)).collect(),
            _ => rng.pick(samples).chars().collect(),
        };
        for _ in 0..rng.below(4) {
            let at = rng.below(text.len() as u64 + 1) as usize;
            match rng.below(4) {
                0 => text.insert(at, *rng.pick(&alphabet)),
                1 if at < text.len() => text[at] = *rng.pick(&alphabet),
                2 if at < text.len() => drop(text.remove(at)),
                _ => text.extend_from_within(at..),
            }
        }
        check(&text.into_iter().collect::<String>());
    }
}
