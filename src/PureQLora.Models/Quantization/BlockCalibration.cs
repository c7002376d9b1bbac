using System.Diagnostics;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Runs calibration rows through one block and sums what its layers take, in one pass or stage by stage: q, k, v; o; gate, up; down. Where
/// the unquantised model is asked for, its hidden states go along.
/// </summary>
/// <param name="model">Owns the block.</param>
/// <param name="block">Not yet quantised.</param>
/// <param name="packs">Rows; their streams hold the block's input.</param>
/// <param name="arena">Memory of a pass.</param>
/// <param name="options">Refinements and precision.</param>
/// <param name="timings">Counts.</param>
internal sealed class BlockCalibration(
    LlamaModel model, DecoderBlock block, CalibrationPack[] packs, Arena arena, GptqOptions options, QuantizationTimings timings)
{
    /// <summary>Inputs that layers of a block share.</summary>
    public const int Stages = 4;

    private readonly BlockWeights _dense = new(block);
    private readonly bool _isLast = block == model.Blocks[^1];

    /// <summary>Layers by the input that they share.</summary>
    public static LinearLayer[][] LayersOf(DecoderBlock block) =>
    [
        [block.Attention.Query, block.Attention.Key, block.Attention.Value],
        [block.Attention.Output],
        [block.FeedForward.Gate, block.FeedForward.Up],
        [block.FeedForward.Down],
    ];

    /// <summary>Sums all inputs in one pass, from the block as it is; the unquantised stream moves on to the next block.</summary>
    /// <param name="sums">Of each stage; null for none. [stages]</param>
    /// <param name="cancellationToken">Checked between rows.</param>
    public void SumAll(CalibrationSums?[] sums, CancellationToken cancellationToken) => ForEachPack((scope, pack, context) =>
    {
        Tensor[] exact = [];
        if (pack.Exact is { } stream)
        {
            long started = Stopwatch.GetTimestamp();
            (exact, Tensor attended) = Inputs(scope, stream.Input(scope, pack.Tokens), context);
            Leave(scope, stream, attended, exact[^1]);
            timings.Add(QuantizationStage.Unquantized, started);
        }

        long own = Stopwatch.GetTimestamp();
        Tensor[] inputs = Inputs(scope, pack.Stream.Input(scope, pack.Tokens), context).Inputs;
        timings.Add(QuantizationStage.Calibration, own);
        for (int stage = 0; stage < Stages; stage++)
        {
            Add(scope, sums[stage], exact.Length == 0 ? null : exact[stage], inputs[stage]);
        }
    }, cancellationToken);

    /// <summary>Takes the streams one stage further, with the layers before it as they are now, and sums its input.</summary>
    /// <param name="stage">0 to 3, each once, in turn.</param>
    /// <param name="sums">Null for none.</param>
    /// <param name="cancellationToken">Checked between rows.</param>
    public void SumStage(int stage, CalibrationSums? sums, CancellationToken cancellationToken) => ForEachPack((scope, pack, context) =>
    {
        Tensor? exact = null;
        if (pack.Exact is { } stream)
        {
            long started = Stopwatch.GetTimestamp();
            _dense.Exchange();
            exact = Input(scope, stream, pack.Tokens, context, stage);
            if (stage == Stages - 1)
            {
                Leave(scope, stream, stream.Input(scope, pack.Tokens), exact);
            }

            _dense.Exchange();
            timings.Add(QuantizationStage.Unquantized, started);
        }

        long own = Stopwatch.GetTimestamp();
        Tensor input = Input(scope, pack.Stream, pack.Tokens, context, stage);
        timings.Add(QuantizationStage.Calibration, own);
        Add(scope, sums, exact, input);
    }, cancellationToken);

    /// <summary>Takes the quantised model's stream to the next block, after <see cref="SumAll"/> or the last stage.</summary>
    /// <param name="inStages">Whether the stream has gone through the stages one by one.</param>
    /// <param name="cancellationToken">Checked between rows.</param>
    public void Finish(bool inStages, CancellationToken cancellationToken)
    {
        _dense.Release();
        if (_isLast)
        {
            return;
        }

        long started = Stopwatch.GetTimestamp();
        ForEachPack((scope, pack, context) =>
        {
            Tensor hidden = pack.Stream.Input(scope, pack.Tokens);
            pack.Stream.Advance(inStages
                ? block.AddFeedForward(scope, hidden, block.FeedForward.Gated(scope, block.FeedForwardInput(scope, hidden)))
                : block.Forward(scope, hidden, context));
        }, cancellationToken);
        timings.Add(QuantizationStage.Output, started);
    }

    private void ForEachPack(Action<ComputeScope, CalibrationPack, BlockContext> body, CancellationToken cancellationToken)
    {
        foreach (CalibrationPack pack in packs)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using ComputeScope scope = new(arena) { Precision = options.CalibrationPrecision };
            body(scope, pack, model.Context(pack.Input(scope)));
        }
    }

    /// <summary>What the layers of each stage take, and the hidden states after attention.</summary>
    private (Tensor[] Inputs, Tensor Attended) Inputs(ComputeScope scope, Tensor hidden, BlockContext context)
    {
        Tensor normed = block.AttentionInput(scope, hidden);
        Tensor mixed = block.Attention.Mix(scope, normed, context);
        Tensor attended = block.AddAttention(scope, hidden, mixed);
        Tensor between = block.FeedForwardInput(scope, attended);
        return ([normed, mixed, between, block.FeedForward.Gated(scope, between)], attended);
    }

    private Tensor Input(ComputeScope scope, CalibrationStream stream, int tokens, BlockContext context, int stage)
    {
        Tensor hidden = stream.Input(scope, tokens);
        switch (stage)
        {
            case 0:
                return block.AttentionInput(scope, hidden);
            case 1:
                return stream.KeepMixed(block.Attention.Mix(scope, block.AttentionInput(scope, hidden), context));
            case 2:
                Tensor attended = block.AddAttention(scope, hidden, stream.OutputInput(scope, tokens));
                stream.Advance(attended);
                return block.FeedForwardInput(scope, attended);
            default:
                return block.FeedForward.Gated(scope, block.FeedForwardInput(scope, hidden));
        }
    }

    /// <summary>Takes the unquantised stream to the next block.</summary>
    private void Leave(ComputeScope scope, CalibrationStream stream, Tensor attended, Tensor gated)
    {
        if (!_isLast)
        {
            stream.Advance(block.AddFeedForward(scope, attended, gated));
        }
    }

    private void Add(ComputeScope scope, CalibrationSums? sums, Tensor? exact, Tensor x)
    {
        if (sums is null)
        {
            return;
        }

        long started = Stopwatch.GetTimestamp();
        sums.Hessian.Add(x.Floats, checked((int)x.Shape.Rows));
        timings.Add(QuantizationStage.Hessian, started);
        if (sums.Deviation is not null && exact is not null)
        {
            started = Stopwatch.GetTimestamp();
            sums.Deviation.Add(scope, exact, x);
            timings.Add(QuantizationStage.Deviation, started);
        }
    }
}
