import ArgumentParser

/// What to say about a command line that cannot be parsed: one message, the nearest word, where to read more.
enum UsageMessage {
  /// - Parameter arguments: without the program's name.
  static func text(for error: any Error, arguments: [String]) -> String {
    let commands = Quern.configuration.subcommands.map { $0._commandName }
    if let word = arguments.first, !word.hasPrefix("-"), word != "help", !commands.contains(word) {
      let advice =
        nearest(to: word, among: commands).map { "did you mean '\($0)'?" }
        ?? "there are: \(commands.joined(separator: ", "))"
      return "no command is called '\(word)'; \(advice)"
    }
    let usage = Quern.fullMessage(for: error).split(separator: "\n").map(String.init)
    let more = usage.last { $0.contains("--help' for more information") }.map { "\n" + $0.drop { $0 == " " } } ?? ""
    let known = knownOptions(of: arguments.first) + ["--help", "--version"]
    // A misspelt option makes the one that was meant look missing: name the misspelling.
    let unknown = arguments.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { String($0.prefix { $0 != "=" }) }
      .first { !known.contains($0) }
    guard let unknown, known.count > 2 else { return Quern.message(for: error) + more }
    let advice = nearest(to: unknown, among: known).map { "; did you mean '\($0)'?" } ?? ""
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

  /// At most two edits away.
  private static func nearest(to word: String, among words: [String]) -> String? {
    words.map { ($0, editDistance($0, word)) }.min { $0.1 < $1.1 }.flatMap { $0.1 <= 2 ? $0.0 : nil }
  }

  /// The `count` nearest words, nearest first.
  static func nearest(to word: String, among words: [String], count: Int) -> [String] {
    let distances = words.enumerated().map {
      (word: $0.element, distance: editDistance($0.element, word), at: $0.offset)
    }
    return distances.sorted { ($0.distance, $0.at) < ($1.distance, $1.at) }.prefix(count).map(\.word)
  }

  /// Levenshtein's.
  private static func editDistance(_ a: String, _ b: String) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let substitution = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
}
