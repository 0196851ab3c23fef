import ArgumentParser
import Bytes
import Catalog
import Conversion
import GGUF
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
      case .file(.truncated), .file(.compression), .file(.damaged), .catalog, .missingTensor, .undecodable,
        .misshapen, .headTooWide:
        return ExitStatus.badInput
      case .contextExceeded, .invalidToken, .invalidType, .unsupported: return ExitStatus.badUsage
      case .file: return ExitStatus.failed
      }
    case let error as FileError:
      say(error)
      return status(of: error)
    case let error as PassError:
      say(error)
      return ExitStatus.failed
    case let error as ImportanceError:
      say(error)
      if case .file(let file) = error { return status(of: file) }
      return ExitStatus.badInput
    case is UsageError, is KernelSelectionError:
      say(error)
      return ExitStatus.badUsage
    case let error as ThresholdError:
      say(error)
      return ExitStatus.thresholdNotMet
    default: return reportUsage(error)
    }
  }

  private static func status(of error: FileError) -> Int32 {
    switch error {
    case .truncated, .compression, .damaged: ExitStatus.badInput
    case .system, .notARegularFile, .notADirectory, .occupied, .exists: ExitStatus.failed
    }
  }

  private static func say(_ error: Any) {
    for line in "\(error)".split(separator: "\n") { Terminal.standardError("quern: \(line)\n") }
  }

  /// Help asked for goes to standard output with status 0; a misspelt option to standard error with 2.
  private static func reportUsage(_ error: any Error) -> Int32 {
    let code = Quern.exitCode(for: error)
    if code == .success {
      print(Quern.fullMessage(for: error))
      return 0
    }
    say(UsageMessage.text(for: error, arguments: Array(CommandLine.arguments.dropFirst())))
    return code == .validationFailure ? ExitStatus.badUsage : ExitStatus.failed
  }
}
