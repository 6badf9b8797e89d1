use std::io::{self, BufRead};

/// The median of some numbers; none of no numbers.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 {
        return numbers.get(middle).copied();
    }
    Some((numbers.get(middle.checked_sub(1)?)? + numbers.get(middle)?) / 2.0)
}

fn main() {
    let numbers = io::stdin().lock().lines().map_while(Result::ok).filter_map(|line| line.parse().ok());
    println!("{:?}", median(numbers.collect()));
}
