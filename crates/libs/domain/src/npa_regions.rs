//! Which region an area code belongs to. Data, no decisions.
//!
//! Source: libphonenumber 9.0.43 metadata, by way of `npa-regions.csv` beside the design. 469 area codes.
//! New ones are opened a few times a year: add the number to its line, in order. An area code that is
//! missing here is refused everywhere.

use crate::area_code::Region;

/// The region of an assigned area code; `None` if nobody has been given it.
pub(crate) const fn find_region(npa: u16) -> Option<Region> {
    Some(match npa {
        201 | 202 | 203 | 205 | 206 | 207 | 208 | 209 | 210 | 212 | 213 | 214 | 215 | 216 | 217 | 218 | 219 | 220
        | 223 | 224 | 225 | 227 | 228 | 229 | 231 | 234 | 235 | 239 | 240 | 248 | 251 | 252 | 253 | 254 | 256 | 260
        | 262 | 267 | 269 | 270 | 272 | 274 | 276 | 279 | 281 | 283 | 301 | 302 | 303 | 304 | 305 | 307 | 308 | 309
        | 310 | 312 | 313 | 314 | 315 | 316 | 317 | 318 | 319 | 320 | 321 | 323 | 324 | 325 | 326 | 327 | 329 | 330
        | 331 | 332 | 334 | 336 | 337 | 339 | 341 | 346 | 347 | 350 | 351 | 352 | 353 | 360 | 361 | 363 | 364 | 369
        | 380 | 385 | 386 | 401 | 402 | 404 | 405 | 406 | 407 | 408 | 409 | 410 | 412 | 413 | 414 | 415 | 417 | 419
        | 423 | 424 | 425 | 430 | 432 | 434 | 435 | 440 | 442 | 443 | 445 | 447 | 448 | 458 | 463 | 464 | 469 | 470
        | 472 | 475 | 478 | 479 | 480 | 484 | 501 | 502 | 503 | 504 | 505 | 507 | 508 | 509 | 510 | 512 | 513 | 515
        | 516 | 517 | 518 | 520 | 530 | 531 | 534 | 539 | 540 | 541 | 551 | 557 | 559 | 561 | 562 | 563 | 564 | 567
        | 570 | 571 | 572 | 573 | 574 | 575 | 580 | 582 | 585 | 586 | 601 | 602 | 603 | 605 | 606 | 607 | 608 | 609
        | 610 | 612 | 614 | 615 | 616 | 617 | 618 | 619 | 620 | 623 | 626 | 628 | 629 | 630 | 631 | 636 | 640 | 641
        | 645 | 646 | 650 | 651 | 656 | 657 | 659 | 660 | 661 | 662 | 667 | 669 | 678 | 680 | 681 | 682 | 686 | 689
        | 701 | 702 | 703 | 704 | 706 | 707 | 708 | 712 | 713 | 714 | 715 | 716 | 717 | 718 | 719 | 720 | 724 | 725
        | 726 | 727 | 728 | 730 | 731 | 732 | 734 | 737 | 738 | 740 | 743 | 747 | 748 | 754 | 757 | 760 | 762 | 763
        | 765 | 769 | 770 | 771 | 772 | 773 | 774 | 775 | 779 | 781 | 785 | 786 | 801 | 802 | 803 | 804 | 805 | 806
        | 808 | 810 | 812 | 813 | 814 | 815 | 816 | 817 | 818 | 820 | 821 | 826 | 828 | 830 | 831 | 832 | 835 | 838
        | 839 | 840 | 843 | 845 | 847 | 848 | 850 | 854 | 856 | 857 | 858 | 859 | 860 | 862 | 863 | 864 | 865 | 870
        | 872 | 878 | 901 | 903 | 904 | 906 | 907 | 908 | 909 | 910 | 912 | 913 | 914 | 915 | 916 | 917 | 918 | 919
        | 920 | 925 | 928 | 929 | 930 | 931 | 934 | 936 | 937 | 938 | 940 | 941 | 943 | 945 | 947 | 948 | 949 | 951
        | 952 | 954 | 956 | 959 | 970 | 971 | 972 | 973 | 975 | 978 | 979 | 980 | 983 | 984 | 985 | 986 | 989 => {
            Region::UnitedStates
        }
        684 => Region::UsTerritory("AS"),
        671 => Region::UsTerritory("GU"),
        670 => Region::UsTerritory("MP"),
        787 | 939 => Region::UsTerritory("PR"),
        340 => Region::UsTerritory("VI"),
        204 | 226 | 236 | 249 | 250 | 257 | 263 | 273 | 289 | 306 | 343 | 354 | 365 | 367 | 368 | 382 | 403 | 416
        | 418 | 428 | 431 | 437 | 438 | 450 | 468 | 474 | 506 | 514 | 519 | 548 | 579 | 581 | 584 | 587 | 604 | 613
        | 639 | 647 | 672 | 683 | 705 | 709 | 742 | 753 | 778 | 780 | 782 | 807 | 819 | 825 | 867 | 873 | 879 | 902
        | 905 | 942 => Region::Canada,
        268 => Region::Caribbean("AG"),
        264 => Region::Caribbean("AI"),
        246 => Region::Caribbean("BB"),
        441 => Region::Caribbean("BM"),
        242 => Region::Caribbean("BS"),
        767 => Region::Caribbean("DM"),
        809 | 829 | 849 => Region::Caribbean("DO"),
        473 => Region::Caribbean("GD"),
        658 | 876 => Region::Caribbean("JM"),
        869 => Region::Caribbean("KN"),
        345 => Region::Caribbean("KY"),
        758 => Region::Caribbean("LC"),
        664 => Region::Caribbean("MS"),
        721 => Region::Caribbean("SX"),
        649 => Region::Caribbean("TC"),
        868 => Region::Caribbean("TT"),
        784 => Region::Caribbean("VC"),
        284 => Region::Caribbean("VG"),
        800 | 833 | 844 | 855 | 866 | 877 | 888 => Region::TollFree,
        900 => Region::Premium,
        500 | 521 | 522 | 523 | 524 | 525 | 526 | 527 | 528 | 529 | 532 | 533 | 544 | 566 | 577 | 588 | 600 | 622
        | 633 => Region::Personal,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_code_of_the_plan_is_here() {
        let count = |wanted: fn(&Region) -> bool| (0..=u16::MAX).filter_map(find_region).filter(wanted).count();
        assert_eq!(count(|_| true), 469);
        assert_eq!(count(|r| *r == Region::UnitedStates), 359);
        assert_eq!(count(|r| *r == Region::Canada), 56);
        assert_eq!(count(|r| matches!(r, Region::UsTerritory(_))), 6);
        assert_eq!(count(|r| matches!(r, Region::Caribbean(_))), 21);
        assert_eq!(count(|r| *r == Region::TollFree), 7);
        assert_eq!(count(|r| *r == Region::Premium), 1);
        assert_eq!(count(|r| *r == Region::Personal), 19);
    }

    #[test]
    fn no_area_code_looks_like_a_service_code() {
        for npa in (0..=u16::MAX).filter(|npa| find_region(*npa).is_some()) {
            assert!((200..=999).contains(&npa), "{npa}");
            assert_ne!(npa % 100, 11, "{npa}");
        }
    }
}
