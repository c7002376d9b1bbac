using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>How a GPTQ checkpoint is quantised: <c>quantization_config</c> in <c>config.json</c>, or <c>quantize_config.json</c>.</summary>
public sealed record GptqConfig : QuantizationConfig
{
    private const string OffsetsMark = "_offsets";
    private const int LargestGroup = 1 << 20;
    private const int MostOverrides = 4096;

    /// <summary>Bits of a code: 2, 3, 4 or 8.</summary>
    public required int Bits { get; init; }

    /// <summary>Inputs that share a scale; −1 for one group a row.</summary>
    public required int GroupSize { get; init; }

    /// <summary>Columns were quantised in order of falling importance, so that groups are scattered (act-order).</summary>
    public bool DescendingActivations { get; init; }

    /// <summary>The zero point is always the middle code.</summary>
    public bool Symmetric { get; init; } = true;

    /// <summary>How zero points are stored.</summary>
    public GptqFormat Format { get; init; }

    /// <summary>
    /// Every quantised layer has a tensor <c>offsets</c> beside its scales, what merging QA-LoRA leaves: a value is scale · (code − zero point)
    /// + offset. The format is then named <c>gptq_offsets</c> or <c>gptq_v2_offsets</c>, so that programs that do not know them refuse the file.
    /// </summary>
    public bool HasOffsets { get; init; }

    /// <summary>Damping that was used, as a share of the Hessian's mean diagonal; null where the file does not say.</summary>
    public double? Damping { get; init; }

    /// <summary>
    /// Linear layers of a block that are quantised (<c>self_attn.q_proj</c>), where that is not all of them; null for all. It is written
    /// for other programs (transformers' <c>modules_in_block_to_quantize</c>); what is quantised in a file, its tensors tell.
    /// </summary>
    public IReadOnlyList<string>? QuantizedModules { get; init; }

    /// <inheritdoc/>
    public override string Description =>
        (GroupSize == -1 ? $"GPTQ, {Bits} bits, one group a row" : $"GPTQ, {Bits} bits in groups of {GroupSize}") + (HasOffsets ? ", with offsets" : string.Empty);

    /// <summary>Modules with settings of their own; the first entry that matches counts.</summary>
    public IReadOnlyList<GptqOverride> Dynamic { get; init; } = [];

    /// <summary>The entry that is about a module, or null.</summary>
    public GptqOverride? OverrideOf(string module) => Dynamic.FirstOrDefault(entry => entry.Matches(module));

    /// <summary>The settings as they are for one module.</summary>
    public GptqConfig For(string module) => OverrideOf(module) is { } entry
        ? this with
        {
            Bits = entry.Bits ?? Bits,
            GroupSize = entry.GroupSize ?? GroupSize,
            DescendingActivations = entry.DescendingActivations ?? DescendingActivations,
            Dynamic = [],
        }
        : this;

    /// <summary>Reads either form.</summary>
    /// <exception cref="UserErrorException">A value that is not supported.</exception>
    internal static new GptqConfig Parse(JsonFields fields)
    {
        string format = fields.Text("checkpoint_format") ?? fields.Text("format") ?? "gptq";
        bool offsets = format.EndsWith(OffsetsMark, StringComparison.Ordinal);
        if ((offsets ? format[..^OffsetsMark.Length] : format) is not ("gptq" or "gptq_v2"))
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path("checkpoint_format")}\" is \"{format}\", allowed are \"gptq\" and \"gptq_v2\", each also with \"{OffsetsMark}\".");
        }

        if (fields.Flag("lm_head", fallback: false))
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path("lm_head")}\" is true, but a quantised output layer is not supported; quantise without it.");
        }

        RequirePackType(fields);
        return new GptqConfig
        {
            Bits = ReadBits(fields) ?? fields.RequiredInteger("bits", 2, 8),
            GroupSize = ReadGroupSize(fields) ?? fields.RequiredInteger("group_size", -1, LargestGroup),
            DescendingActivations = fields.Flag("desc_act", fallback: false),
            Symmetric = fields.Flag("sym", fallback: true),
            HasOffsets = offsets,
            Format = format.StartsWith("gptq_v2", StringComparison.Ordinal) ? GptqFormat.V2 : GptqFormat.V1,
            Damping = fields.Number("damp_percent", 0, 1),
            Dynamic = fields.Object("dynamic") is { } dynamic ? [.. ReadDynamic(dynamic)] : [],
        };
    }

    private static int? ReadBits(JsonFields fields) => fields.Integer("bits", 2, 8) is not { } bits || bits is 2 or 3 or 4 or 8
        ? fields.Integer("bits", 2, 8)
        : throw new UserErrorException($"{fields.Source}: \"{fields.Path("bits")}\" is {bits}, allowed are 2, 3, 4 and 8.");

    private static int? ReadGroupSize(JsonFields fields) => fields.Integer("group_size", -1, LargestGroup) is not 0
        ? fields.Integer("group_size", -1, LargestGroup)
        : throw new UserErrorException($"{fields.Source}: \"{fields.Path("group_size")}\" is 0, allowed are −1 and numbers from 1.");

    private static void RequirePackType(JsonFields fields)
    {
        if (fields.Text("pack_dtype") is { } pack and not "int32")
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path("pack_dtype")}\" is \"{pack}\", allowed is \"int32\".");
        }
    }

    private static IEnumerable<GptqOverride> ReadDynamic(JsonFields dynamic)
    {
        string[] keys = [.. dynamic.Names];
        if (keys.Length > MostOverrides)
        {
            throw new UserErrorException($"{dynamic.Source}: \"{dynamic.Path("*")}\" has {keys.Length} entries, allowed are {MostOverrides}; let one pattern stand for several modules.");
        }

        foreach (string key in keys)
        {
            JsonFields entry = dynamic.Object(key)
                ?? throw new UserErrorException($"{dynamic.Source}: \"{dynamic.Path(key)}\" is null, allowed is an object in braces.");
            bool excluded = key.StartsWith("-:", StringComparison.Ordinal);
            string pattern = excluded || key.StartsWith("+:", StringComparison.Ordinal) ? key[2..] : key;
            _ = ModulePattern.Start(pattern); // refuses what cannot be matched, before anything depends on it
            RequirePackType(entry);
            yield return new GptqOverride(pattern, excluded)
            {
                Bits = ReadBits(entry),
                GroupSize = ReadGroupSize(entry),
                DescendingActivations = entry.Find("desc_act") is null ? null : entry.Flag("desc_act", fallback: false),
            };
        }
    }

    /// <summary>The object that both files hold.</summary>
    internal override JsonObject ToJson()
    {
        JsonObject json = new()
        {
            ["bits"] = Bits,
            ["group_size"] = GroupSize,
            ["desc_act"] = DescendingActivations,
            ["sym"] = Symmetric,
            ["lm_head"] = false,
            ["quant_method"] = "gptq",
            ["checkpoint_format"] = (Format == GptqFormat.V2 ? "gptq_v2" : "gptq") + (HasOffsets ? OffsetsMark : string.Empty),
            ["pack_dtype"] = "int32",
        };
        if (Damping is { } damping)
        {
            json["damp_percent"] = damping;
        }

        if (Dynamic.Count > 0)
        {
            json["dynamic"] = new JsonObject(Dynamic.Select(entry => KeyValuePair.Create((entry.Excluded ? "-:" : "+:") + entry.Pattern, (JsonNode?)ToJson(entry))));
        }

        if (QuantizedModules is not null)
        {
            json["modules_in_block_to_quantize"] = new JsonArray(new JsonArray([.. QuantizedModules.Select(name => (JsonNode?)name)]));
        }

        return json;
    }

    internal override bool IsQuantized(HuggingFaceCheckpoint checkpoint, string module) => GptqCheckpoint.IsQuantized(checkpoint, module);

    internal override IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, string module, int outDim, int inDim) =>
        GptqCheckpoint.CheckLayer(checkpoint, module, outDim, inDim);

    internal override QuantizedMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, string module) => GptqCheckpoint.ReadLayer(checkpoint, module);

    internal override Tensor? ReadOffsets(HuggingFaceCheckpoint checkpoint, string module) => HasOffsets ? GptqCheckpoint.ReadOffsets(checkpoint, module) : null;

    private static JsonObject ToJson(GptqOverride entry)
    {
        JsonObject json = [];
        if (entry.Bits is { } bits)
        {
            json["bits"] = bits;
        }

        if (entry.GroupSize is { } groupSize)
        {
            json["group_size"] = groupSize;
        }

        if (entry.DescendingActivations is { } descending)
        {
            json["desc_act"] = descending;
        }

        return json;
    }
}
