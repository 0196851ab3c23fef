public import Catalog
public import ContainerTesting
public import Conversion
public import Kernels
public import Passes
public import SystemPackage

/// The families, parsed once for all tests.
private let catalog = Result { try Catalog() }

public func open(_ path: FilePath) throws -> OpenedModel { try OpenedModel(path, catalog: try catalog.get()) }

public func openCase(_ name: String) throws -> OpenedModel {
  try open(fixtures.appending("conformance").appending(name))
}

extension OpenedModel {
  /// What a command would do: planned by a recipe, where one is named, and written.
  @discardableResult
  public func write(
    to path: FilePath, as container: OutputContainer = .gguf, recipe: String? = nil, overwrites: Bool = false,
    maximumShardBytes: Int? = nil, kernels: Kernels = .best(), threads: Int = 2
  ) throws -> ConversionResult {
    let recipe = try recipe.flatMap { try RecipeBook()[$0] }
    let job = try ConversionJob(
      self, plan: try recipe?.plan(for: model), ggufFileType: recipe?.ggufFileType, container: container,
      kernels: kernels)
    return try job.write(
      to: path, overwrites: overwrites, maximumShardBytes: maximumShardBytes, pool: WorkerPool(threads: threads))
  }

  /// Written and opened again.
  public func converted(to container: OutputContainer, at path: FilePath, recipe: String? = nil) throws -> OpenedModel {
    try write(to: path, as: container, recipe: recipe)
    return try open(path)
  }
}
