import ArgumentParser
import Bytes
import Catalog
import Conversion
import Glibc
import Kernels
import Passes
import Runtime

/// The exit statuses scripts rely on.
enum ExitStatus {
  static let failed: Int32 = 1
  static let badUsage: Int32 = 2
  static let thresholdNotMet: Int32 = 3
  static let badInput: Int32 = 4
}

/// A mistake in how the program was called that only a command can see.
struct UsageError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A threshold that was not met; the message says which.
struct ThresholdError: Error, CustomStringConvertible {
  let description: String
}

/// Turns any error into a message on standard error and an exit status.
enum Failure {
  static func report(_ error: any Error) -> Int32 {
    switch error {
    case let error as ConversionError:
      say(error)
      return error.isMalformedInput ? ExitStatus.badInput : ExitStatus.failed
    case let error as RuntimeError:
      say(error)
      switch error {
      case .file(.truncated), .file(.compression), .catalog, .missingTensor, .undecodable: return ExitStatus.badInput
      case .contextExceeded, .invalidToken: return ExitStatus.badUsage
      case .file: return ExitStatus.failed
      }
    case let error as FileError:
      say(error)
      switch error {
      case .truncated, .compression: return ExitStatus.badInput
      case .system, .notARegularFile, .exists: return ExitStatus.failed
      }
    case let error as PassError:
      say(error)
      return ExitStatus.failed
    case is UsageError, is KernelSelectionError:
      say(error)
      return ExitStatus.badUsage
    case let error as ThresholdError:
      say(error)
      return ExitStatus.thresholdNotMet
    default: return reportUsage(error)
    }
  }

  private static func say(_ error: any Error) {
    for line in "\(error)".split(separator: "\n") { Terminal.standardError("quern: \(line)\n") }
  }

  /// Help asked for goes to standard output with status 0; a misspelt option to standard error with 2.
  private static func reportUsage(_ error: any Error) -> Int32 {
    let code = Quern.exitCode(for: error)
    let message = Quern.fullMessage(for: error)
    if code == .success {
      print(message)
      return 0
    }
    Terminal.standardError(message + "\n")
    if let name = CommandLine.arguments.dropFirst().first, !name.hasPrefix("-"), let near = nearestCommand(to: name) {
      Terminal.standardError("Did you mean: quern \(near)\n")
    }
    return code == .validationFailure ? ExitStatus.badUsage : ExitStatus.failed
  }

  /// The command whose name is at most two edits from a word that is none.
  private static func nearestCommand(to word: String) -> String? {
    let names = Quern.configuration.subcommands.map { $0._commandName }
    guard !names.contains(word) else { return nil }
    let near = names.map { ($0, editDistance($0, word)) }.min { $0.1 < $1.1 }
    return near.flatMap { $0.1 <= 2 ? $0.0 : nil }
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
