using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Trains the group scales of a quantised model end to end, so that its predictions come close to those of the model in full precision:
/// codes and zero points stay, the loss is the Kullback-Leibler divergence from the teacher's predictions on calibration text, the
/// teacher's logits are computed batch by batch. Some samples are held out; the state that is best on them is kept.
/// </summary>
/// <remarks>Compare the second stage of EfficientQAT, Chen et al., arXiv:2407.11062, section 3.3, which trains on labels instead.</remarks>
public sealed class ScaleDistillation : IDisposable
{
    /// <summary>Of the relative rate, before it is divided by the bits.</summary>
    private const double RateOfOneBit = 1.0 / 300;

    private readonly LlamaModel _student;
    private readonly LlamaModel _teacher;
    private readonly DistillationOptions _options;
    private readonly Arena _arena;
    private readonly ComputeScope _scope;
    private readonly MicroBatch _batch = new();
    private readonly TrainingSample[] _samples;
    private readonly TrainingSample[] _heldOut;
    private readonly TrainedScales[] _scales;
    private readonly LearningRateSchedule _schedule;

    private ScaleDistillation(LlamaModel student, LlamaModel teacher, IBackend backend, IReadOnlyList<int[]> calibration, DistillationOptions options)
    {
        (_student, _teacher, _options) = (student, teacher, options);
        LinearLayer[] layers = [.. student.Linears.Where(layer => layer.Weight.Quantized is not null)];
        RequireSuitable(layers, student, teacher, backend);
        (_samples, _heldOut) = Split(calibration, options.HeldOutPeriod);
        int bits = layers.Min(layer => layer.Weight.Quantized!.Bits);
        _schedule = new LearningRateSchedule { Kind = ScheduleKind.Cosine, BaseRate = options.RelativeRate ?? (RateOfOneBit / bits), TotalSteps = options.Steps };
        _scales = [.. layers.Select(layer => new TrainedScales(layer))];
        _arena = new Arena(backend);
        _scope = new ComputeScope(_arena, recordGradients: true) { Precision = options.Precision };
    }

    /// <summary>Trains the scales of every quantised layer in place.</summary>
    /// <param name="student">Quantised, without adapters.</param>
    /// <param name="teacher">The model that it was quantised from.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="calibration">Token ids, one array a sample; at least two samples.</param>
    /// <param name="options">How long, how fast.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellationToken">Checked before each step; the best state so far is then in place.</param>
    /// <exception cref="UserErrorException">The backend is a device, nothing is quantised, the models do not belong together, or there is too little text.</exception>
    /// <exception cref="TrainingFailedException">The divergence is not finite; the best state so far is in place.</exception>
    public static DistillationResult Run(
        LlamaModel student,
        LlamaModel teacher,
        IBackend backend,
        IReadOnlyList<int[]> calibration,
        DistillationOptions options,
        IProgress<DistillationStep>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(student);
        ArgumentNullException.ThrowIfNull(teacher);
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(calibration);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        using ScaleDistillation distillation = new(student, teacher, backend, calibration, options);
        return distillation.Run(progress, cancellationToken);
    }

    /// <summary>Puts the best scales in place and releases the memory of the passes.</summary>
    public void Dispose()
    {
        Array.ForEach(_scales, scales => scales.Dispose());
        _scope.Dispose();
        _arena.Dispose();
    }

    private static void RequireSuitable(LinearLayer[] layers, LlamaModel student, LlamaModel teacher, IBackend backend)
    {
        if (backend is IDeviceBackend)
        {
            throw new UserErrorException("The device is a GPU, on which scales are not distilled yet; quantise with --device cpu, and train on the GPU afterwards.");
        }

        if (layers.Length == 0)
        {
            throw new UserErrorException("No layer of the model is quantised, so there are no scales to distil; quantise it first.");
        }

        if (layers.FirstOrDefault(layer => layer.Weight.Quantized!.CodeBook is not null) is { } book)
        {
            throw new UserErrorException($"{book.Name} is {book.Weight}, whose scales are stored in another way than GPTQ's; distil models of integer codes.");
        }

        if (layers.FirstOrDefault(layer => layer.Adapter is not null) is { } adapted)
        {
            throw new UserErrorException($"{adapted.Name} has an adapter; distil the scales before adapters are added.");
        }

        if (student.Config.VocabularySize != teacher.Config.VocabularySize)
        {
            throw new UserErrorException(
                $"The quantised model has {student.Config.VocabularySize} tokens and the one to learn from {teacher.Config.VocabularySize}; name the model that it was quantised from.");
        }
    }

    /// <summary>The last of every so many samples is held out, and the last of fewer; two tokens are the least that a sample may have.</summary>
    private static (TrainingSample[] Samples, TrainingSample[] HeldOut) Split(IReadOnlyList<int[]> calibration, int period)
    {
        TrainingSample[] all = [.. calibration.Where(ids => ids.Length > 1).Select(ids => new TrainingSample(ids, ids))];
        if (all.Length < 2)
        {
            throw new UserErrorException(
                $"There are {all.Length} calibration samples of two or more tokens, distillation needs at least 2, one of them held out; give it more text, or shorter samples.");
        }

        period = Math.Min(period, all.Length);
        return ([.. all.Where((_, i) => i % period != period - 1)], [.. all.Where((_, i) => i % period == period - 1)]);
    }

    private DistillationResult Run(IProgress<DistillationStep>? progress, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        SampleOrder order = new(_samples.Length, _options.Seed);
        int interval = _options.Interval ?? ((_options.Steps + 15) / 16);
        double before = MeasureHeldOut();
        Array.ForEach(_scales, scales => scales.Keep());
        (double best, int kept, int stale, int step) = (before, 0, 0, 0);
        while (step < _options.Steps && stale < _options.Patience)
        {
            cancellationToken.ThrowIfCancellationRequested();
            double divergence = Step(order, _schedule.Rate(step++));
            double? heldOut = null;
            if (step % interval == 0 || step == _options.Steps)
            {
                Array.ForEach(_scales, scales => scales.Round());
                heldOut = MeasureHeldOut();
                stale++;
                if (heldOut < best)
                {
                    (best, kept, stale) = (heldOut.Value, step, 0);
                    Array.ForEach(_scales, scales => scales.Keep());
                }

                Array.ForEach(_scales, scales => scales.Resume());
            }

            progress?.Report(new DistillationStep(step, divergence, heldOut));
        }

        return new DistillationResult(before, best, kept, step, _samples.Length, _heldOut.Length, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    private double Step(SampleOrder order, double relativeRate)
    {
        _batch.Clear();
        do
        {
            TrainingSample sample = _samples[order.Next()];
            _batch.Add(sample, 0, sample.Length);
        }
        while (_batch.Tokens < _options.StepTokens);

        double divergence = Divergence(trains: true);
        if (!double.IsFinite(divergence))
        {
            throw new TrainingFailedException("The divergence from the unquantised model is not finite; its weights are damaged, or the scales moved too far: distil with fewer steps.");
        }

        foreach (TrainedScales scales in _scales)
        {
            scales.Step(_scope.Backend, relativeRate);
        }

        return divergence;
    }

    private double MeasureHeldOut()
    {
        (double sum, long tokens) = (0, 0);
        _batch.Clear();
        for (int i = 0; i < _heldOut.Length; i++)
        {
            _batch.Add(_heldOut[i], 0, _heldOut[i].Length);
            if (_batch.Tokens >= _options.StepTokens || i + 1 == _heldOut.Length)
            {
                sum += Divergence(trains: false) * _batch.Tokens;
                tokens += _batch.Tokens;
                _batch.Clear();
            }
        }

        return sum / tokens;
    }

    /// <summary>Mean divergence of the batch's tokens; adds its gradient to the scales' if they are trained on it.</summary>
    private double Divergence(bool trains)
    {
        _scope.Reset();
        ModelInput input = _batch.Input(_scope);
        _scope.RecordsGradients = false;
        Tensor teacher = _teacher.Forward(_scope, input);                    // [1, tokens, hidden]
        _scope.RecordsGradients = trains;
        Tensor hidden = _student.Forward(_scope, input with { Checkpoint = true });
        Shape rows = new(_batch.Tokens, _student.Config.HiddenSize);
        Tensor loss = KullbackLeibler.Forward(
            _scope, trains ? Reshape.Forward(_scope, hidden, rows) : hidden, _student.Head, teacher, _teacher.Head, _batch.Tokens);
        if (trains)
        {
            _scope.Backward(loss);
        }

        Span<float> value = stackalloc float[1];
        loss.CopyTo(value);
        return value[0];
    }
}
