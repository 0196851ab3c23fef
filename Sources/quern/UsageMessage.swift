import ArgumentParser
import Footprint

/// What to say about a command line that cannot be parsed: one message, the nearest word, where to read more.
enum UsageMessage {
  /// - Parameter arguments: without the program's name.
  static func text(for error: any Error, arguments: [String]) -> String {
    let commands = Quern.configuration.subcommands.map { $0._commandName }
    if let word = arguments.first, !word.hasPrefix("-"), word != "help", !commands.contains(word) {
      let advice = suggestion(for: word, among: commands) ?? "there are: \(commands.joined(separator: ", "))"
      return "no command is called '\(word)'; \(advice)"
    }
    let usage = Quern.fullMessage(for: error).split(separator: "\n").map(String.init)
    let more = usage.last { $0.contains("--help' for more information") }.map { "\n" + $0.drop { $0 == " " } } ?? ""
    let known = knownOptions(of: arguments.first) + ["--help", "--version"]
    // A misspelt option makes the one that was meant look missing: name the misspelling.
    let unknown = arguments.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { String($0.prefix { $0 != "=" }) }
      .first { !known.contains($0) }
    guard let unknown, known.count > 2 else { return Quern.message(for: error) + more }
    let advice = suggestion(for: unknown, among: known).map { "; " + $0 } ?? ""
    return "no option is called '\(unknown)'\(advice)" + more
  }

  /// What the command's help lists; a line of usage leaves out options where there are many.
  private static func knownOptions(of name: String?) -> [String] {
    guard let command = Quern.configuration.subcommands.first(where: { $0._commandName == name }) else { return [] }
    let rows = Quern.helpMessage(for: command).split(separator: "\n").map { $0.drop { $0 == " " } }
    return rows.filter { $0.hasPrefix("-") }.flatMap { options(in: String($0)) }
  }

  /// `--context` and the like in a line of usage.
  private static func options(in usage: String) -> [String] {
    usage.split { !($0.isLetter || $0.isNumber || $0 == "-") }.map(String.init).filter { $0.hasPrefix("--") }
  }

  /// Names the nearest words, if they are at most two edits away and more alike than not. Case and punctuation do not
  /// count: people write Q4KM.
  static func suggestion(for word: String, among words: [String]) -> String? {
    let wanted = letters(word)
    let distances = words.map { distance(letters($0), wanted) }
    guard let least = distances.min(), least <= min(2, max(1, wanted.count - 2)) else { return nil }
    let names = zip(words, distances).filter { $0.1 == least }.prefix(3).map { "'\($0.0)'" }
    return "did you mean \(names.joined(separator: " or "))?"
  }

  private static func letters(_ word: String) -> String { word.lowercased().filter { $0.isLetter || $0.isNumber } }

  /// The `count` nearest words, nearest first.
  static func nearest(to word: String, among words: [String], count: Int) -> [String] {
    let distances = words.enumerated().map { (word: $0.element, distance: distance($0.element, word), at: $0.offset) }
    return distances.sorted { ($0.distance, $0.at) < ($1.distance, $1.at) }.prefix(count).map(\.word)
  }

  private static func distance(_ a: String, _ b: String) -> Int { editDistance(Array(a.utf8), Array(b.utf8)) }
}
