using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>What a model's memory depends on, without its weights.</summary>
/// <param name="Config">Dimensions.</param>
/// <param name="Stored">Type of the dense matrices.</param>
public sealed record BaseShape(LlamaConfig Config, DataType Stored)
{
    /// <summary>Bits, group size and code book of the quantised layers, by module name.</summary>
    public IReadOnlyDictionary<string, (int Bits, int GroupSize, CodeBook? Book)> Quantized { get; init; } = new Dictionary<string, (int, int, CodeBook?)>();

    /// <summary>Layers whose weight has offsets, one value a group.</summary>
    public IReadOnlySet<string> Offsets { get; init; } = new HashSet<string>();

    /// <summary>Inputs that share a column of the adapters' A; 0 for none.</summary>
    public int AdapterGroupSize { get; init; }

    /// <summary>Ranks of the adapters, by module name.</summary>
    public IReadOnlyDictionary<string, int> Adapters { get; init; } = new Dictionary<string, int>();

    /// <summary>Dropout of the adapters.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether the adapters are trained, so that they have gradients.</summary>
    public bool Trains { get; init; }

    /// <summary>Whether all weights are trained: float32 with gradients, none quantised.</summary>
    public bool TrainsWeights { get; init; }

    /// <summary>The shape of a model as it is.</summary>
    public static BaseShape Of(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        Dictionary<string, (int, int, CodeBook?)> quantized = [];
        Dictionary<string, int> adapters = [];
        foreach (LinearLayer layer in model.Linears)
        {
            if (layer.Weight.Quantized is { } weight)
            {
                quantized.Add(layer.Name, (weight.Bits, weight.GroupSize, weight.CodeBook));
            }

            if (layer.Adapter is { } adapter)
            {
                adapters.Add(layer.Name, adapter.Rank);
            }
        }

        return new BaseShape(model.Config, model.EmbeddingTable.DataType)
        {
            Quantized = quantized,
            Offsets = model.Linears.Where(layer => layer.Weight.Offsets is not null).Select(layer => layer.Name).ToHashSet(),
            Adapters = adapters,
            AdapterGroupSize = model.Linears.Max(layer => layer.Adapter?.GroupSize ?? 0),
            Dropout = model.Linears.Max(layer => layer.Adapter?.Dropout ?? 0),
            Trains = model.Linears.Any(layer => layer.Adapter is { A.RequiresGrad: true }),
            TrainsWeights = model.EmbeddingTable.RequiresGrad,
        };
    }

    /// <summary>The shape once a recipe has quantised it; one that is quantised stays as it is.</summary>
    public BaseShape After(QuantizationRecipe recipe)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        if (!recipe.Enabled || Quantized.Count > 0)
        {
            return this;
        }

        IEnumerable<string> targets = Modules.Where(module => recipe.Targets is not { Count: > 0 } names || names.Contains(ShortName(module)));
        return this with { Quantized = targets.ToDictionary(module => module, module => CodesOf(module, recipe)) };
    }

    /// <summary>The shape with the adapters of a configuration.</summary>
    public BaseShape With(LoraConfig lora)
    {
        ArgumentNullException.ThrowIfNull(lora);
        return this with { Adapters = Modules.Where(lora.Targets).ToDictionary(module => module, lora.RankOf), Dropout = lora.Dropout, AdapterGroupSize = lora.UseQaLora ? lora.QaLoraGroupSize : 0 };
    }

    /// <summary>The shape with the new adapters of a recipe: QA-LoRA takes the groups of the base.</summary>
    internal BaseShape WithNew(LoraConfig lora) =>
        With(lora with { QaLoraGroupSize = Modules.Where(lora.Targets).Select(module => Quantized.GetValueOrDefault(module).GroupSize).FirstOrDefault() });

    private (int Bits, int GroupSize, CodeBook? Book) CodesOf(string module, QuantizationRecipe recipe) => recipe.Method == QuantizationMethod.Nf4
        ? (recipe.Bits, BlockwiseMatrix.PieceOf(LlamaTensorNames.LinearLayers(Config)[module].In, recipe.BlockSize), CodeBook.NormalFloat4)
        : (recipe.Bits, recipe.GroupSize, null);

    private IEnumerable<string> Modules => LlamaTensorNames.LinearLayers(Config).Keys;

    private static string ShortName(string module) => module[(module.LastIndexOf('.') + 1)..];
}
