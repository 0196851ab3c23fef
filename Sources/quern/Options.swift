public import ArgumentParser
import Bytes
import Catalog
import Conversion
import Kernels
public import SystemPackage

/// What every command takes.
struct CommonOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Threads to work with.", discussion: "Default: all the processor lets us use."))
  var threads: Int?

  @Option(help: "Instruction set: generic, avx2, avx512 or neon (default: the best here; also QUERN_ISA).")
  var isa: String?

  @Flag(help: "One JSON object on standard output instead of text.")
  var json = false

  @Option(
    name: .customLong("descriptor"),
    help: ArgumentHelp(
      "A family of your own, as JSON like those under Formats/Architectures; may inherit from them. Repeatable.",
      valueName: "file"))
  var descriptors: [FilePath] = []

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024, not \(threads)") }
  }

  /// The families we know, and those of `--descriptor`.
  func catalog() throws -> Catalog {
    var additional: [(name: String, bytes: [UInt8])] = []
    for path in descriptors {
      additional.append((path.string, try InputFile.contents(of: path, limit: Limits().headerByteCount)))
    }
    do { return try Catalog(additional: additional) } catch {
      guard !descriptors.isEmpty else { throw error }
      throw UsageError("--descriptor: \(error)")
    }
  }

  func processor() throws -> Processor {
    let wanted = isa ?? Environment["QUERN_ISA"]
    let kernels =
      try wanted.map { name throws(KernelSelectionError) in try Kernels.named(name.lowercased()) } ?? Kernels.best()
    return Processor(kernels: kernels, pool: WorkerPool(threads: threads ?? Environment.processorCount))
  }
}

extension FilePath: @retroactive ExpressibleByArgument {
  public init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    self.init(argument)
  }

  public static var defaultCompletionKind: CompletionKind { .file() }
}

extension OpenedModel {
  init(_ path: FilePath, _ common: CommonOptions) throws { try self.init(path, catalog: try common.catalog()) }
}

extension OpenedCheckpoint {
  init(_ path: FilePath, _ common: CommonOptions) throws { try self.init(path, catalog: try common.catalog()) }
}
