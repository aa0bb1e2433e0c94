/// Bytes of UTF-8 that were changed on their way, as Latin-1, as ftfy knows them.
enum LostBytes {
    /// Where a byte that means a space without a break became a space.
    static let altered = Pattern(
        #"[\u00c2\u00c3\u00c5\u00ce\u00d0\u00d9] "#
            + #"|[\u00e2\u00e3] [\u0080-\u0084\u0086-\u009f\u00a1-\u00bf]"#
            + #"|[\u00e0-\u00e3][\u0080-\u0084\u0086-\u009f\u00a1-\u00bf] "#
            + #"|\u00f0 [\u0080-\u00bf][\u0080-\u00bf]"#
            + #"|\u00f0[\u0080-\u00bf] [\u0080-\u00bf]"#
            + #"|\u00f0[\u0080-\u00bf][\u0080-\u00bf] "#)

    /// An a with grave accent that lost its second byte, before a new word.
    static let aGrave = Pattern(#"\u00c3 (?! |quele|quela|quilo|s )"#)

    /// Where a byte became a mark that says that it is lost.
    static let lossy = Pattern(
        [
            #"[\u00c2-\u00df]\u001a"#,
            #"[\u00c2\u00c3]\?"#,
            #"\u00ed[\u00a0-\u00af][\u001a?]\u00ed[\u00b0-\u00bf][\u001a?\u0080-\u00bf]"#,
            #"\u00ed[\u00a0-\u00af][\u001a?\u0080-\u00bf]\u00ed[\u00b0-\u00bf][\u001a?]"#,
            #"[\u00e0-\u00ef][\u001a?][\u001a\u0080-\u00bf]"#,
            #"[\u00e0-\u00ef][\u001a\u0080-\u00bf][\u001a?]"#,
            #"[\u00f0-\u00f4][\u001a?][\u001a\u0080-\u00bf][\u001a\u0080-\u00bf]"#,
            #"[\u00f0-\u00f4][\u001a\u0080-\u00bf][\u001a?][\u001a\u0080-\u00bf]"#,
            #"[\u00f0-\u00f4][\u001a\u0080-\u00bf][\u001a\u0080-\u00bf][\u001a?]"#,
            #"\u001a"#,
        ].joined(separator: "|"))
}
