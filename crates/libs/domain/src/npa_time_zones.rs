//! Which time zones an area code lies in. Data, no decisions.
//!
//! Source: libphonenumber 9.0.43's time zone data: the zones of all exchanges of an area code, those with the same clock
//! once. A code that lies over another one has that one's zones too, also where the data does not say so yet: 236, 257,
//! 672 and 778 (250), 364 (270), 367 and 581 (418), 448 (850), 458 (541), 879 (709), 930 (812). Alaska goes without
//! Hawaii's clock, which the data gives to a single exchange. Toll-free, premium and personal codes lie nowhere.
//! A new area code gets its line here when it gets one in `npa_regions`.

use chrono_tz::America::{
    Adak, Anchorage, Anguilla, Antigua, Barbados, Cayman, Chicago, Denver, Dominica, Edmonton, Fort_Nelson, Grand_Turk,
    Grenada, Halifax, Jamaica, Los_Angeles, Lower_Princes, Montserrat, Nassau, New_York, Phoenix, Port_of_Spain,
    Puerto_Rico, Regina, Santo_Domingo, St_Johns, St_Kitts, St_Lucia, St_Thomas, St_Vincent, Toronto, Tortola,
    Vancouver, Winnipeg,
};
use chrono_tz::Atlantic::Bermuda;
use chrono_tz::Pacific::{Guam, Honolulu, Pago_Pago, Saipan};
use chrono_tz::Tz;

/// The zones of an area code, from west to east; empty if it lies nowhere.
pub(crate) const fn list_time_zones(npa: u16) -> &'static [Tz] {
    match npa {
        201 | 202 | 203 | 207 | 212 | 215 | 216 | 220 | 223 | 227 | 229 | 231 | 234 | 239 | 240 | 248 | 252 | 260
        | 267 | 269 | 272 | 276 | 283 | 301 | 302 | 304 | 305 | 313 | 315 | 317 | 321 | 324 | 326 | 329 | 330 | 332
        | 336 | 339 | 347 | 351 | 352 | 363 | 380 | 386 | 401 | 404 | 407 | 410 | 412 | 413 | 419 | 434 | 440 | 443
        | 445 | 463 | 470 | 472 | 475 | 478 | 484 | 502 | 508 | 513 | 516 | 517 | 518 | 540 | 551 | 561 | 567 | 570
        | 571 | 582 | 585 | 586 | 603 | 607 | 609 | 610 | 614 | 616 | 617 | 631 | 640 | 645 | 646 | 656 | 667 | 678
        | 680 | 681 | 686 | 703 | 704 | 706 | 716 | 717 | 718 | 724 | 727 | 728 | 732 | 734 | 740 | 743 | 754 | 757
        | 762 | 765 | 770 | 771 | 772 | 774 | 781 | 786 | 802 | 803 | 804 | 810 | 813 | 814 | 821 | 826 | 828 | 835
        | 838 | 839 | 843 | 845 | 848 | 854 | 856 | 857 | 859 | 860 | 862 | 863 | 864 | 865 | 878 | 904 | 908 | 910
        | 912 | 914 | 917 | 919 | 929 | 934 | 937 | 941 | 943 | 947 | 948 | 954 | 959 | 973 | 978 | 980 | 984 | 989 => {
            &[New_York]
        }
        204 | 431 | 474 | 584 => &[Winnipeg],
        205 | 210 | 214 | 217 | 218 | 224 | 225 | 228 | 235 | 251 | 254 | 256 | 262 | 274 | 281 | 309 | 312 | 314
        | 316 | 318 | 319 | 320 | 325 | 327 | 331 | 334 | 337 | 346 | 353 | 361 | 402 | 405 | 409 | 414 | 417 | 430
        | 432 | 447 | 464 | 469 | 479 | 501 | 504 | 507 | 512 | 515 | 531 | 534 | 539 | 557 | 563 | 572 | 573 | 580
        | 601 | 608 | 612 | 615 | 618 | 629 | 630 | 636 | 641 | 651 | 659 | 660 | 662 | 682 | 689 | 708 | 712 | 713
        | 715 | 726 | 730 | 731 | 737 | 763 | 769 | 773 | 779 | 806 | 815 | 816 | 817 | 830 | 832 | 847 | 870 | 872
        | 901 | 903 | 913 | 918 | 920 | 931 | 936 | 938 | 940 | 945 | 952 | 956 | 972 | 975 | 979 | 985 => &[Chicago],
        206 | 209 | 213 | 253 | 279 | 310 | 323 | 341 | 350 | 360 | 369 | 408 | 415 | 424 | 425 | 442 | 503 | 509
        | 510 | 530 | 559 | 562 | 564 | 619 | 626 | 628 | 650 | 657 | 661 | 669 | 702 | 707 | 714 | 725 | 738 | 747
        | 760 | 805 | 818 | 820 | 831 | 840 | 858 | 909 | 916 | 925 | 949 | 951 | 971 => &[Los_Angeles],
        226 | 249 | 263 | 273 | 289 | 343 | 354 | 365 | 382 | 416 | 437 | 438 | 450 | 468 | 514 | 519 | 548 | 579
        | 613 | 647 | 683 | 705 | 742 | 753 | 819 | 873 | 905 | 942 => &[Toronto],
        242 => &[Nassau],
        246 => &[Barbados],
        264 => &[Anguilla],
        268 => &[Antigua],
        284 => &[Tortola],
        303 | 307 | 385 | 406 | 435 | 505 | 575 | 719 | 720 | 748 | 801 | 915 | 970 | 983 => &[Denver],
        306 | 639 => &[Regina],
        340 => &[St_Thomas],
        345 => &[Cayman],
        368 | 403 | 587 | 780 | 825 => &[Edmonton],
        428 | 506 | 782 | 902 => &[Halifax],
        441 => &[Bermuda],
        473 => &[Grenada],
        480 | 520 | 602 | 623 => &[Phoenix],
        604 => &[Vancouver],
        649 => &[Grand_Turk],
        658 | 876 => &[Jamaica],
        664 => &[Montserrat],
        670 => &[Saipan],
        671 => &[Guam],
        684 => &[Pago_Pago],
        721 => &[Lower_Princes],
        758 => &[St_Lucia],
        767 => &[Dominica],
        784 => &[St_Vincent],
        787 | 939 => &[Puerto_Rico],
        808 => &[Honolulu],
        809 | 829 | 849 => &[Santo_Domingo],
        868 => &[Port_of_Spain],
        869 => &[St_Kitts],
        208 | 458 | 541 | 775 | 986 => &[Los_Angeles, Denver],
        219 | 270 | 364 | 423 | 448 | 574 | 606 | 812 | 850 | 906 | 930 => &[Chicago, New_York],
        236 | 250 | 257 | 672 | 778 => &[Vancouver, Edmonton],
        308 | 605 | 620 | 701 | 785 => &[Denver, Chicago],
        367 | 418 | 581 => &[Toronto, Halifax],
        709 | 879 => &[Halifax, St_Johns],
        807 => &[Winnipeg, Toronto],
        907 => &[Adak, Anchorage],
        928 => &[Phoenix, Denver],
        867 => &[Vancouver, Fort_Nelson, Edmonton, Winnipeg, Toronto],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Offset, TimeZone, Utc};

    use super::*;
    use crate::area_code::{AreaCode, Region};

    #[test]
    fn every_area_code_that_lies_somewhere_has_a_time_zone_and_no_other_has() {
        for npa in 0..=u16::MAX {
            let somewhere = AreaCode::find(npa).is_some_and(|area_code| {
                !matches!(area_code.region(), Region::TollFree | Region::Premium | Region::Personal)
            });
            assert_eq!(somewhere, !list_time_zones(npa).is_empty(), "{npa}");
        }
    }

    #[test]
    fn a_split_area_code_has_every_clock_of_its_places_once() {
        let summer = Utc.with_ymd_and_hms(2026, 7, 1, 12, 0, 0).unwrap().naive_utc();
        let winter = Utc.with_ymd_and_hms(2026, 1, 15, 12, 0, 0).unwrap().naive_utc();
        for npa in 200..1000 {
            let zones = list_time_zones(npa);
            let clocks: Vec<_> = zones
                .iter()
                .map(|zone| {
                    let at = |time| zone.offset_from_utc_datetime(time).fix().local_minus_utc();
                    (at(&winter), at(&summer))
                })
                .collect();
            assert!(clocks.is_sorted_by(|a, b| a < b), "{npa}: {zones:?}");
        }
    }

    #[test]
    fn well_known_area_codes_keep_the_time_of_their_places() {
        assert_eq!(list_time_zones(212), [New_York]);
        assert_eq!(list_time_zones(312), [Chicago]);
        assert_eq!(list_time_zones(303), [Denver]);
        assert_eq!(list_time_zones(602), [Phoenix]);
        assert_eq!(list_time_zones(415), [Los_Angeles]);
        assert_eq!(list_time_zones(808), [Honolulu]);
        assert_eq!(list_time_zones(416), [Toronto]);
        assert_eq!(list_time_zones(306), [Regina]);
        assert_eq!(list_time_zones(787), [Puerto_Rico]);
        assert_eq!(list_time_zones(441), [Bermuda]);
        // Florida's panhandle, two corners of Indiana, western Kentucky, and both halves of Tennessee's east.
        for npa in [850, 448, 219, 812, 930, 270, 364, 423] {
            assert_eq!(list_time_zones(npa), [Chicago, New_York], "{npa}");
        }
        // Idaho's panhandle and its south; Oregon's east.
        for npa in [208, 986, 541, 458] {
            assert_eq!(list_time_zones(npa), [Los_Angeles, Denver], "{npa}");
        }
        // The Dakotas, Nebraska, Kansas.
        for npa in [605, 701, 308, 620, 785] {
            assert_eq!(list_time_zones(npa), [Denver, Chicago], "{npa}");
        }
        assert_eq!(list_time_zones(907), [Adak, Anchorage]);
    }
}
