//! Random numbers that are the same on every machine and with every version of every library.

/// The SplitMix64 generator.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    pub fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap();
        usize::try_from(self.next() % limit).unwrap()
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, Item>(&mut self, items: &'a [Item]) -> Option<&'a Item> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// Up to `count` different items, in their order.
    pub fn sample<Item: Clone>(&mut self, items: &[Item], count: usize) -> Vec<Item> {
        let mut places: Vec<usize> = (0..items.len()).collect();
        while places.len() > count {
            let unlucky = self.below(places.len());
            places.remove(unlucky);
        }
        places.into_iter().map(|place| items[place].clone()).collect()
    }

    /// One of `choices`, each as likely as its weight.
    pub fn weighted<Choice: Copy>(&mut self, choices: &[(usize, Choice)]) -> Choice {
        let mut rest = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if rest < *weight {
                return *choice;
            }
            rest -= weight;
        }
        unreachable!("the rest is below the sum of the weights")
    }
}
