import Foundation

/// A regular expression over code points.
struct Pattern {
    private let expression: NSRegularExpression

    /// Patterns are part of the app, so a wrong one is a mistake in it.
    init(_ pattern: String) {
        do {
            expression = try NSRegularExpression(pattern: pattern)
        } catch {
            fatalError("the pattern \(pattern.prefix(40)) cannot be read: \(error)")
        }
    }

    /// Whether it is found anywhere.
    func matches(_ text: CodePoints) -> Bool {
        let string = NSString(string: String(codes: text))
        let all = NSRange(location: 0, length: string.length)
        return expression.firstMatch(in: string as String, range: all) != nil
    }

    /// The text with each match replaced.
    func replacing(
        _ text: CodePoints, with replacement: (CodePoints) -> CodePoints
    ) -> CodePoints {
        let string = NSString(string: String(codes: text))
        let all = NSRange(location: 0, length: string.length)
        var out: CodePoints = []
        var end = 0
        for match in expression.matches(in: string as String, range: all) {
            let before = NSRange(location: end, length: match.range.location - end)
            out += string.substring(with: before).codes
            out += replacement(string.substring(with: match.range).codes)
            end = match.range.location + match.range.length
        }
        return out + string.substring(from: end).codes
    }
}
