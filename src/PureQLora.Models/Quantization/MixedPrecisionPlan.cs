namespace PureQLora.Models;

/// <summary>Bits and group size of every layer, and what is expected of them.</summary>
/// <param name="Settings">By module name.</param>
/// <param name="AverageBits">Stored bits of a weight, scales and zero points included.</param>
/// <param name="Error">Predicted divergence from the unquantised model's predictions, nats a token, with plain GPTQ.</param>
/// <param name="Frontier">Average bits and predicted divergence of every size that could have been asked for.</param>
/// <param name="Uniform">The same where all layers get one setting.</param>
public sealed record MixedPrecisionPlan(
    IReadOnlyDictionary<string, LayerSettings> Settings,
    double AverageBits,
    double Error,
    IReadOnlyList<(double AverageBits, double Error)> Frontier,
    IReadOnlyList<(LayerSettings Settings, double AverageBits, double Error)> Uniform)
{
    /// <summary>Blocks that one pattern lists, so that it stays readable.</summary>
    private const int BlocksOfPattern = 32;

    /// <summary>Layers that share an input, with the names that programs give them where they fuse them.</summary>
    private static readonly (string[] Layers, string Pattern)[] Stages =
    [
        (["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], @"self_attn\.(?:q|k|v|qkv)_proj"),
        (["self_attn.o_proj"], @"self_attn\.o_proj"),
        (["mlp.gate_proj", "mlp.up_proj"], @"mlp\.(?:gate|up|gate_up)_proj"),
        (["mlp.down_proj"], @"mlp\.down_proj"),
    ];

    /// <summary>Settings of a checkpoint whose layers are quantised so: the most frequent for all, <c>dynamic</c> entries for the others.</summary>
    /// <param name="config">What is the same for all layers.</param>
    public GptqConfig Describe(GptqConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        LayerSettings common = Settings.Values.GroupBy(settings => settings).MaxBy(group => group.Count())!.Key;
        List<GptqOverride> entries = [];
        foreach ((string[] layers, string pattern) in Stages)
        {
            var others = Settings.Where(layer => layer.Value != common)
                .Select(layer => (Block: BlockOf(layer.Key, layers), Settings: layer.Value))
                .Where(layer => layer.Block is not null)
                .Distinct()
                .GroupBy(layer => layer.Settings, layer => layer.Block);
            entries.AddRange(others.SelectMany(group => group.Chunk(BlocksOfPattern).Select(blocks =>
                new GptqOverride($@"model\.layers\.(?:{string.Join('|', blocks)})\.{pattern}$", Excluded: false) { Bits = group.Key.Bits, GroupSize = group.Key.GroupSize })));
        }

        return config with { Bits = common.Bits, GroupSize = common.GroupSize, Dynamic = entries };
    }

    /// <summary>The number of the block if the module is one of the layers, else null.</summary>
    private static string? BlockOf(string module, string[] layers)
    {
        string[] parts = module.Split('.', 4);
        return parts is ["model", "layers", { } block, { } name] && layers.Contains(name) ? block : null;
    }
}
