using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Calibration samples laid end to end in one row, each a segment of its own, and the hidden states that reached the present block.</summary>
internal sealed class CalibrationPack
{
    /// <summary>Enough for full speed; the intermediate tensors of a pass grow with it.</summary>
    private const int PackedTokens = 2048;

    private readonly List<int> _ids = [];
    private readonly List<int> _positions = [];
    private readonly List<int> _segments = [];

    /// <summary>Tokens of the row.</summary>
    public int Tokens => _ids.Count;

    /// <summary>What the model as quantised so far makes of the row.</summary>
    public CalibrationStream Stream { get; } = new();

    /// <summary>What the unquantised model makes of it, where that is asked for.</summary>
    public CalibrationStream? Exact { get; set; }

    /// <summary>Lays samples into rows and embeds them.</summary>
    /// <param name="model">Gives the embedding.</param>
    /// <param name="arena">Memory of a pass.</param>
    /// <param name="samples">Token ids.</param>
    /// <param name="besideExact">Whether the unquantised model goes along.</param>
    public static CalibrationPack[] Embed(LlamaModel model, Arena arena, IReadOnlyList<int[]> samples, bool besideExact)
    {
        CalibrationPack[] packs = Fill(samples, PackedTokens);
        foreach (CalibrationPack pack in packs)
        {
            using ComputeScope scope = new(arena);
            pack.Stream.Hidden = model.Embed(scope, pack.Input(scope)).ToArray();
            pack.Exact = besideExact ? new CalibrationStream { Hidden = [.. pack.Stream.Hidden] } : null;
        }

        MappedFile.ReleasePages(model.EmbeddingTable);
        return packs;
    }

    /// <summary>Lays samples into rows of about so many tokens; a longer sample has a row of its own.</summary>
    private static CalibrationPack[] Fill(IReadOnlyList<int[]> samples, int tokens)
    {
        List<CalibrationPack> packs = [];
        foreach (int[] sample in samples)
        {
            if (sample.Length == 0)
            {
                continue;
            }

            if (packs.Count == 0 || packs[^1].Tokens + sample.Length > tokens)
            {
                packs.Add(new CalibrationPack());
            }

            packs[^1].Add(sample);
        }

        return [.. packs];
    }

    /// <summary>The row as a model's input.</summary>
    public ModelInput Input(ComputeScope scope)
    {
        Shape shape = new(1, Tokens);
        return new ModelInput(scope.From([.. _ids], shape), scope.From([.. _positions], shape)) { Segments = scope.From([.. _segments], shape) };
    }

    private void Add(int[] sample)
    {
        int segment = _segments.Count == 0 ? 0 : _segments[^1] + 1;
        for (int i = 0; i < sample.Length; i++)
        {
            _ids.Add(sample[i]);
            _positions.Add(i);
            _segments.Add(segment);
        }
    }
}
