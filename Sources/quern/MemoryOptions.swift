import ArgumentParser
import Footprint
import IR
import Passes

/// How a model would be run: shared by the commands that tell memory.
struct MemoryOptions: ParsableArguments {
  @Option(help: "Tokens per sequence (default: the model's own, at most 8192).")
  var context: Int?

  @Option(help: "Tokens of the longest prompt within it (default: all).")
  var prompt: Int?

  @Option(help: "Sequences at once.")
  var batch = 1

  @Option(help: "Type of the KV cache: f16, f32; in other profiles also bf16, q8_0, q4_0 and the like.")
  var kv = "f16"

  @Option(help: "Who would run it: quern, llama.cpp, transformers, transformers-4.44, chatglm or vllm.")
  var profile = "quern"

  @Option(help: "Tokens of a prompt computed at a time (default: the profile's).")
  var ubatch: Int?

  @Option(
    help: ArgumentHelp("Whether attention scores are never stored (default: the profile's).", valueName: "on|off"))
  var flashAttention: String?

  @Option(help: ArgumentHelp("A device it should fit, such as 'RTX 3060'; several may be given.", valueName: "name"))
  var device: [String] = []

  @Option(help: ArgumentHelp("Memory that it should fit: 6GB, 8GiB.", valueName: "size"))
  var vram: String?

  func request(for shape: ModelShape) throws -> FootprintRequest {
    guard let format = BlockFormat.named(kv) else {
      let known = FootprintRequest.cacheFormats.map { $0.name.lowercased() }
      throw UsageError("--kv takes \(known.joined(separator: ", ")), not '\(kv)'")
    }
    let trained = shape.hyperparameters.integer("context_length") ?? 4096
    var request = FootprintRequest(
      context: context ?? min(trained, 8192), batch: batch, keyFormat: format, valueFormat: format,
      profile: try usage { () throws(FootprintError) in try RuntimeProfile.named(profile) })
    request.microBatch = ubatch
    request.promptTokens = prompt
    switch flashAttention {
    case nil: break
    case "on"?: request.flashAttention = true
    case "off"?: request.flashAttention = false
    case let other?: throw UsageError("--flash-attention takes on or off, not '\(other)'")
    }
    return request
  }

  /// What was asked for; this machine when nothing was.
  func devices() throws -> [Device] {
    let catalog = try usage { () throws(FootprintError) in try DeviceCatalog() }
    var devices: [Device] = []
    for name in device {
      let found = try usage { () throws(FootprintError) in try catalog.device(named: name) }
      guard found.usableBytes != nil else {
        throw UsageError("\(found.name) comes with any amount of memory: say how much with --vram")
      }
      devices.append(found)
    }
    if let vram {
      guard let size = ByteSize(vram), size.bytes >= 1 << 20 else {
        throw UsageError("--vram takes a size such as 6GB or 512MB, not '\(vram)'")
      }
      devices.append(
        Device(name: "--vram \(vram)", kind: profile == "quern" ? "host" : "budget", usableBytes: size.bytes))
    }
    if devices.isEmpty, let bytes = Environment.availableMemoryBytes {
      devices.append(Device(name: "this machine, now", usableBytes: bytes))
    }
    return devices
  }
}

/// What a footprint cannot do is a mistake in the request.
func usage<Result>(_ body: () throws(FootprintError) -> Result) throws -> Result {
  do { return try body() } catch { throw UsageError("\(error)") }
}

extension ModelShape {
  /// The model as it is, or as if quantized by a recipe.
  init(_ model: Model, recipe name: String?) throws {
    self.init(model)
    guard let name else { return }
    let book = try RecipeBook()
    guard let recipe = book[name] else {
      throw UsageError("no recipe is called '\(name)'; there are: \(book.names.joined(separator: ", "))")
    }
    guard recipe.packing == nil else {
      throw UsageError("memory is counted for GGUF's types; \(name) is for other runtimes")
    }
    self = formatted(by: try recipe.plan(for: model))
  }

  /// The same model as the plan leaves it.
  func formatted(by plan: QuantizationPlan) -> ModelShape {
    let formats = Dictionary(plan.steps.map { ($0.name, $0.to) }, uniquingKeysWith: { first, _ in first })
    return formatted { name, _, stored in formats[name] ?? stored }
  }
}
