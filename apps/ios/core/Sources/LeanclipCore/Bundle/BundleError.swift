import Foundation

/// What is wrong with a bundle or another file, in one sentence that says what to do.
public struct BundleError: Error, Equatable, LocalizedError, CustomStringConvertible {
    /// The sentence.
    public let message: String

    public init(_ message: String) {
        self.message = message
    }

    public var errorDescription: String? { message }

    public var description: String { message }
}

/// One line about any error.
public func oneLine(_ error: Error) -> String {
    let text = (error as? LocalizedError)?.errorDescription ?? error.localizedDescription
    return text.split(whereSeparator: { $0.isWhitespace }).joined(separator: " ")
}
