//! Command lines: `--name value` pairs behind a verb.
use crate::{BenchError, Result};
use std::{collections::BTreeMap, env, str::FromStr, time::Duration};

/// What stood on a command line.
#[derive(Debug, Default)]
pub struct Arguments {
    /// What stood before the first option.
    pub words: Vec<String>,
    options: BTreeMap<String, String>,
}

impl Arguments {
    /// This process's.
    ///
    /// # Errors
    /// An option without its value.
    pub fn read() -> Result<Self> {
        Self::parse(env::args().skip(1))
    }

    /// Those of a line that was split.
    ///
    /// # Errors
    /// As [`Arguments::read`].
    pub fn parse(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self::default();
        while let Some(word) = given.next() {
            match word.strip_prefix("--") {
                Some(name) => {
                    let value = given.next().ok_or_else(|| BenchError::Usage(format!("--{name} needs a value")))?;
                    arguments.options.insert(name.into(), value);
                }
                None => arguments.words.push(word),
            }
        }
        Ok(arguments)
    }

    /// As it could be typed again.
    #[must_use]
    pub fn line(&self) -> String {
        let options = self.options.iter().map(|(name, value)| format!("--{name} {value}"));
        self.words.iter().cloned().chain(options).collect::<Vec<_>>().join(" ")
    }

    /// Takes an option.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let unreadable = |text: &str| BenchError::Usage(format!("--{name} cannot be {text:?}"));
        self.options.remove(name).map(|text| text.parse().map_err(|_| unreadable(&text))).transpose()
    }

    /// Takes an option that has a default.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take_or<T: FromStr>(&mut self, name: &str, default: T) -> Result<T> {
        Ok(self.take(name)?.unwrap_or(default))
    }

    /// Gives an option a value, as if it had been typed.
    pub fn give(&mut self, name: &str, value: String) {
        self.options.insert(name.into(), value);
    }

    /// Takes seconds.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn seconds(&mut self, name: &str, default: f64) -> Result<Duration> {
        let seconds = self.take_or(name, default)?;
        Duration::try_from_secs_f64(seconds).map_err(|_| BenchError::Usage(format!("--{name} cannot be {seconds}")))
    }

    /// Refuses options that nothing has taken.
    ///
    /// # Errors
    /// There is one.
    pub fn finish(self) -> Result<()> {
        match self.options.keys().next() {
            Some(name) => Err(BenchError::Usage(format!("no option --{name} here; wse-bench help lists them"))),
            None => Ok(()),
        }
    }
}

/// The port that a server under test was told to listen on.
///
/// # Errors
/// It was told none.
pub fn port() -> Result<u16> {
    let mut arguments = Arguments::read()?;
    let port = arguments.take("port")?.ok_or_else(|| BenchError::Usage("--port N".into()))?;
    arguments.finish()?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split(' ').map(Into::into))
    }

    #[test]
    fn options_are_taken_by_name_and_unknown_ones_refused() {
        let mut arguments = parse("run --rounds 9 --size 128").expect("valid");
        assert_eq!(arguments.words, ["run"]);
        assert_eq!(arguments.take::<usize>("rounds").expect("a number"), Some(9));
        assert_eq!(arguments.take_or("burst", 7).expect("the default"), 7);
        assert!(arguments.finish().is_err_and(|error| error.to_string().contains("--size")));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(parse("run --rounds").is_err());
        assert!(parse("run --rounds x").expect("valid").take::<usize>("rounds").is_err());
        assert!(parse("run --time -1").expect("valid").seconds("time", 1.0).is_err());
    }
}
