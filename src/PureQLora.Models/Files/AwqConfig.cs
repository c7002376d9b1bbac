using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Settings of an AWQ checkpoint in the GEMM layout (arXiv:2306.00978): 4 bits, with zero points.</summary>
public sealed record AwqConfig : QuantizationConfig
{
    /// <summary>Inputs that share a scale; −1 for one group a row.</summary>
    public required int GroupSize { get; init; }

    /// <inheritdoc/>
    public override string Description => GroupSize == -1 ? "AWQ, 4 bits, one group a row" : $"AWQ, 4 bits in groups of {GroupSize}";

    /// <summary>The same grid as GPTQ checkpoints say it.</summary>
    public GptqConfig ToGptq() => new() { Bits = AwqCheckpoint.Bits, GroupSize = GroupSize, Symmetric = false };

    internal static new AwqConfig Parse(JsonFields fields)
    {
        string version = fields.Text("version") ?? fields.Text("format") ?? "gemm";
        if (!version.Equals("gemm", StringComparison.OrdinalIgnoreCase))
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path("version")}\" is \"{version}\", allowed is \"gemm\", the only AWQ layout this engine reads.");
        }

        string bitsKey = fields.Contains("bits") ? "bits" : "w_bit";
        if (fields.RequiredInteger(bitsKey, 1, 16) is not AwqCheckpoint.Bits and int bits)
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path(bitsKey)}\" is {bits}, allowed is 4, the only width of AWQ's GEMM layout.");
        }

        if (!fields.Flag("zero_point", fallback: true))
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path("zero_point")}\" is false, allowed is true: the GEMM layout stores zero points.");
        }

        int groupSize = fields.RequiredInteger(fields.Contains("group_size") ? "group_size" : "q_group_size", -1, 1 << 20);
        return groupSize == 0
            ? throw new UserErrorException($"{fields.Source}: \"{fields.Path("group_size")}\" is 0, allowed are −1 and numbers from 1.")
            : new AwqConfig { GroupSize = groupSize };
    }

    internal override JsonObject ToJson() => new()
    {
        ["quant_method"] = "awq",
        ["bits"] = AwqCheckpoint.Bits,
        ["group_size"] = GroupSize,
        ["zero_point"] = true,
        ["version"] = "gemm",
        ["modules_to_not_convert"] = null,
    };

    internal override bool IsQuantized(HuggingFaceCheckpoint checkpoint, string module) => !checkpoint.Contains(module + ".weight");

    internal override IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, string module, int outDim, int inDim) =>
        AwqCheckpoint.CheckLayer(checkpoint, this, module, outDim, inDim);

    internal override QuantizedMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, string module) => AwqCheckpoint.ReadLayer(checkpoint, this, module);
}
