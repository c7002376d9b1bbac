using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>What a model's memory depends on, without its weights.</summary>
/// <param name="Config">Dimensions.</param>
/// <param name="Stored">Type of the dense matrices.</param>
public sealed record BaseShape(LlamaConfig Config, DataType Stored)
{
    /// <summary>Bits and group size of the quantised layers, by module name.</summary>
    public IReadOnlyDictionary<string, (int Bits, int GroupSize)> Quantized { get; init; } = new Dictionary<string, (int, int)>();

    /// <summary>Ranks of the adapters, by module name.</summary>
    public IReadOnlyDictionary<string, int> Adapters { get; init; } = new Dictionary<string, int>();

    /// <summary>Dropout of the adapters.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether the adapters are trained, so that they have gradients.</summary>
    public bool Trains { get; init; }

    /// <summary>The shape of a model as it is.</summary>
    public static BaseShape Of(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        Dictionary<string, (int, int)> quantized = [];
        Dictionary<string, int> adapters = [];
        foreach (LinearLayer layer in model.Linears)
        {
            if (layer.Weight.Quantized is { } weight)
            {
                quantized.Add(layer.Name, (weight.Bits, weight.GroupSize));
            }

            if (layer.Adapter is { } adapter)
            {
                adapters.Add(layer.Name, adapter.Rank);
            }
        }

        return new BaseShape(model.Config, model.EmbeddingTable.DataType)
        {
            Quantized = quantized,
            Adapters = adapters,
            Dropout = model.Linears.Max(layer => layer.Adapter?.Dropout ?? 0),
            Trains = model.Linears.Any(layer => layer.Adapter is { A.RequiresGrad: true }),
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
        return this with { Quantized = targets.ToDictionary(module => module, _ => (recipe.Bits, recipe.GroupSize)) };
    }

    /// <summary>The shape with the adapters of a configuration.</summary>
    public BaseShape With(LoraConfig lora)
    {
        ArgumentNullException.ThrowIfNull(lora);
        return this with { Adapters = Modules.Where(lora.Targets).ToDictionary(module => module, lora.RankOf), Dropout = lora.Dropout };
    }

    private IEnumerable<string> Modules => LlamaTensorNames.LinearLayers(Config).Keys;

    private static string ShortName(string module) => module[(module.LastIndexOf('.') + 1)..];
}
