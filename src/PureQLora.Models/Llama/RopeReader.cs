using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Reads rotary settings in both styles: <c>rope_theta</c> with <c>rope_scaling</c>, and <c>rope_parameters</c>.</summary>
internal static class RopeReader
{
    private const double LargestFactor = 1e6;

    /// <summary>Base and scaling; adds to <paramref name="ignored"/> the keys nobody needs.</summary>
    public static (double Theta, RopeScaling Scaling) Read(JsonFields fields, int maxPositions, List<string> ignored)
    {
        double theta = ReadTheta(fields) ?? 10000;
        JsonFields? old = fields.Object("rope_scaling");
        JsonFields? recent = fields.Object("rope_parameters");
        if (recent is not null)
        {
            theta = ReadTheta(recent) ?? theta;
        }

        RopeScaling scaling = RopeScaling.None;
        foreach (JsonFields rope in new[] { old, recent }.OfType<JsonFields>())
        {
            RopeScaling found = ReadScaling(rope, maxPositions);
            if (rope == recent && old is not null && found != scaling)
            {
                throw new UserErrorException($"{fields.Source}: \"rope_scaling\" and \"rope_parameters\" contradict each other; keep one of them.");
            }

            scaling = found;
            _ = ReadTheta(rope);
            ignored.AddRange(rope.Unread.Select(rope.Path));
        }

        return (theta, scaling);
    }

    private static double? ReadTheta(JsonFields fields) => fields.Number("rope_theta", 1.001, 1e15);

    private static RopeScaling ReadScaling(JsonFields rope, int maxPositions)
    {
        if (rope.Find("partial_rotary_factor") is { } partial && !(partial.ValueKind == JsonValueKind.Number && partial.TryGetDouble(out double share) && share == 1))
        {
            throw rope.Wrong("partial_rotary_factor", partial, "1, because this engine turns whole heads");
        }

        if (rope.Contains(LlamaConfigReader.FullAttention) || rope.Contains(LlamaConfigReader.SlidingAttention))
        {
            throw new UserErrorException($"{rope.Source}: \"{rope.Path(LlamaConfigReader.FullAttention)}\": rotary settings of their own for each kind of layer are not supported.");
        }

        string? type = rope.Text("rope_type");
        string? oldest = rope.Text("type");
        return (type ?? oldest) switch
        {
            null when rope.Names.All(name => name == "rope_theta") => RopeScaling.None,
            "default" => RopeScaling.None,
            "linear" => new RopeScaling.Linear(Required(rope, "factor", 1e-6)),
            "llama3" => ReadLlama3(rope),
            "yarn" => ReadYarn(rope, maxPositions),
            null => throw new UserErrorException($"{rope.Source}: \"{rope.Path("rope_type")}\" is missing, allowed are default, linear, llama3 and yarn."),
            string other => throw new UserErrorException($"{rope.Source}: \"{rope.Path("rope_type")}\" is \"{other}\", allowed are default, linear, llama3 and yarn; this engine has no other kinds of rotary scaling."),
        };
    }

    private static RopeScaling.Llama3 ReadLlama3(JsonFields rope)
    {
        double low = Required(rope, "low_freq_factor", 1e-6);
        double high = Required(rope, "high_freq_factor", 1e-6);
        return high > low
            ? new RopeScaling.Llama3(Required(rope, "factor", 1e-6), low, high, rope.RequiredInteger("original_max_position_embeddings", 1, 1 << 28))
            : throw new UserErrorException($"{rope.Source}: \"{rope.Path("high_freq_factor")}\" is {high} and \"{rope.Path("low_freq_factor")}\" is {low}; the first must be larger.");
    }

    private static RopeScaling.Yarn ReadYarn(JsonFields rope, int maxPositions)
    {
        int original = rope.Integer("original_max_position_embeddings", 1, 1 << 28) ?? maxPositions;
        double factor = rope.Number("factor", 1e-6, LargestFactor) ?? ((double)maxPositions / original);

        // The library takes 0 for absent.
        double fast = rope.Number("beta_fast", 0, LargestFactor) is { } givenFast and not 0 ? givenFast : 32;
        double slow = rope.Number("beta_slow", 0, LargestFactor) is { } givenSlow and not 0 ? givenSlow : 1;
        return fast >= slow
            ? new RopeScaling.Yarn(factor, original)
            {
                BetaFast = fast,
                BetaSlow = slow,
                AttentionFactor = rope.Number("attention_factor", 1e-6, LargestFactor),
                MScale = rope.Number("mscale", 0, LargestFactor),
                MScaleAllDims = rope.Number("mscale_all_dim", 0, LargestFactor),
                Truncate = rope.Flag("truncate", fallback: true),
            }
            : throw new UserErrorException($"{rope.Source}: \"{rope.Path("beta_fast")}\" is {fast} and \"{rope.Path("beta_slow")}\" is {slow}; the first must not be smaller.");
    }

    private static double Required(JsonFields rope, string key, double lowest) => rope.Number(key, lowest, LargestFactor)
        ?? throw new UserErrorException($"{rope.Source}: \"{rope.Path(key)}\" is missing; rotary scaling of type \"{rope.Text("rope_type") ?? rope.Text("type")}\" needs it.");
}
