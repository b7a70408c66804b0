//! Which encoding a client would like best.

use http::{HeaderMap, header};

/// An encoding of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Gzip,
}

impl Encoding {
    /// The one that the client likes best; of two that it likes as well, zstd, which is faster and denser. `None` where it asks for
    /// neither, refuses both, or would rather have neither (RFC 9110, section 12.5.3).
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let [mut zstd, mut gzip, mut identity, mut others] = [None; 4];
        for value in headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
            for (name, weight) in value.split(',').filter_map(item) {
                match name {
                    _ if name.eq_ignore_ascii_case("zstd") => zstd = Some(weight),
                    _ if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                        gzip = Some(weight)
                    }
                    _ if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
                    "*" => others = Some(weight),
                    _ => {}
                }
            }
        }
        let [zstd, gzip] = [zstd, gzip].map(|weight: Option<u16>| weight.or(others).unwrap_or(0));
        match (zstd, gzip) {
            (0, 0) => None,
            _ if identity > Some(zstd.max(gzip)) => None,
            _ if zstd >= gzip => Some(Self::Zstd),
            _ => Some(Self::Gzip),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// A name and its weight in thousandths; `None` for what is no weight.
fn item(item: &str) -> Option<(&str, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next()?;
    let Some(weight) = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))) else {
        return Some((name, 1000));
    };
    let weight: f32 = weight.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    Some((name, (weight * 1000.0).round() as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &'static str) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, http::HeaderValue::from_static(value));
        Encoding::accepted(&headers)
    }

    #[test]
    fn the_best_of_those_that_are_accepted() {
        use Encoding::{Gzip, Zstd};
        assert_eq!(Encoding::accepted(&HeaderMap::new()), None);
        for (value, expected) in [
            ("gzip", Some(Gzip)),
            ("GZIP, br", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("zstd;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("zstd;q=0, gzip", Some(Gzip)),
            ("gzip;q=0", None),
            ("*", Some(Zstd)),
            ("*;q=0.1, zstd;q=0", Some(Gzip)),
            ("*;q=0", None),
            ("br", None),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("Identity;q=0.5, gzip", Some(Gzip)),
            ("identity;q=0.5, *;q=0.5", Some(Zstd)),
            ("", None),
            ("gzip;q=nan, zstd;q=7", None),
            ("gzip ; q=0.001", Some(Gzip)),
        ] {
            assert_eq!(accepted(value), expected, "{value}");
        }
    }
}
