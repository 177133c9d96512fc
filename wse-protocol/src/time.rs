//! Wall-clock time on the wire: milliseconds since 1970, written as an ISO 8601 string.

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Bytes that [`write_iso`](Self::write_iso) appends, until the year 9999.
    pub(crate) const ISO_BYTES: u32 = 24;

    /// Appends `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    pub fn write_iso(self, out: &mut Vec<u8>) {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let date = [(0, year / 100), (2, year), (5, month), (8, day)];
        let time = [(11, ms / 3_600_000), (14, ms / 60_000 % 60), (17, ms / 1000 % 60), (21, ms)];
        for (at, value) in date.into_iter().chain(time) {
            text[at] = digit(value / 10);
            text[at + 1] = digit(value);
        }
        text[20] = digit(ms / 100);
        out.extend_from_slice(&text);
    }
}

fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

/// Days since 1970 as year, month, day of the Gregorian calendar (Howard Hinnant's `civil_from_days`, for days from 0).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(ms: u64) -> String {
        let mut out = Vec::new();
        UnixMillis(ms).write_iso(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn writes_the_dates_that_other_clocks_write() {
        // `date -u -d @N +%FT%T` of GNU coreutils.
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(iso(1_768_473_000_000), "2026-01-15T10:30:00.000Z");
        assert_eq!(iso(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
    }
}
