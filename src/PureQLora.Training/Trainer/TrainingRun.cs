using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// A run as a whole: measure the base, quantise it, measure again, train adapters on it, measure a third time, report. Every stage
/// leaves whole files in the run's folder and is not done twice, so a run that was killed at any instant and resumed ends with the
/// same adapter, bit for bit, as one that was not; the number of threads does not matter either.
/// </summary>
/// <param name="recipe">What to do.</param>
/// <param name="folder">Where; created or resumed.</param>
/// <param name="backend">Computes.</param>
/// <param name="embeddedModel">Folder of the model that the recipe calls <c>embedded</c>, or null where there is none.</param>
/// <param name="observer">Told what happens, or null.</param>
/// <param name="threads">Threads of the processor where the backend is another device: it quantises and tokenises. 0 takes one a processor.</param>
public sealed class TrainingRun(
    Recipe recipe, RunFolder folder, IBackend backend, string? embeddedModel = null, IRunObserver? observer = null, int threads = 0)
{
    private const string FullPrecision = "full precision";

    private readonly IRunObserver _observer = observer ?? new SilentObserver();
    private readonly Recipe _recipe = recipe.For(backend);

    /// <summary>Does what is left to do.</summary>
    /// <param name="cancellationToken">Finishes the present step, saves, and stops.</param>
    /// <returns>What the run gave.</returns>
    /// <exception cref="UserErrorException">The recipe, a file or the disk does not allow it.</exception>
    /// <exception cref="TrainingFailedException">Loss or gradient not finite, an adapter does not learn, or the device failed.</exception>
    /// <exception cref="RunInterruptedException">Cancelled; the run can be resumed.</exception>
    public RunSummary Run(CancellationToken cancellationToken = default)
    {
        try
        {
            (ModelFolder opened, RunData data, RunMemory? memory) = Open();
            return RunStages(opened, data, memory, cancellationToken);
        }
        catch (DeviceFailedException exception)
        {
            throw new TrainingFailedException($"{exception.Message} Every stage that was finished is kept in {folder.Path}.", exception);
        }
        catch (OperationCanceledException exception) when (exception is not RunInterruptedException)
        {
            throw new RunInterruptedException("Stopped; every stage that was finished is kept.", folder.Path, exception);
        }
    }

    private (ModelFolder Base, RunData Data, RunMemory? Memory) Open()
    {
        ModelFolder? opened = null;
        try
        {
            _recipe.Validate();
            folder.Store(_recipe);
            opened = OpenBase();
            RequireDenseForStart(opened.Model);
            RequireGroupsOfBase(opened.Model);
            RunData data = RunData.Load(_recipe, opened.Tokenizer, (backend as CpuBackend)?.Threads ?? threads);
            ReportData(opened, data);
            return (opened, data, backend is IDeviceBackend device ? RunMemory.Plan(device, _recipe, opened, data, _observer) : null);
        }
        catch (UserErrorException)
        {
            // So that the same command works once the mistake is mended.
            opened?.Dispose();
            folder.Abandon();
            throw;
        }
    }

    private RunSummary RunStages(ModelFolder opened, RunData data, RunMemory? memory, CancellationToken cancellationToken)
    {
        using CpuBackend? own = backend is CpuBackend ? null : new CpuBackend(threads);
        CpuBackend processor = own ?? (CpuBackend)backend;
        try
        {
            StageEvaluation evaluation = new(
                folder, data.ProblemSets, _recipe.Evaluation.ToOptions(_recipe.Training.Precision!.Value), opened.Tokenizer, backend, _observer);
            List<RunStage> stages = [];
            string name = opened.Model.Linears.FirstOrDefault(layer => layer.Weight.Quantized is not null)?.Weight.Quantized is { } stored ? stored.CodeBook?.Name.ToUpperInvariant() ?? $"int{stored.Bits}" : FullPrecision;
            stages.Add(evaluation.Measure(
                name, opened.Model, opened.Model.WeightBytes, cancellationToken, memory is { BaseFits: false } ? processor : null));
            if (_recipe.Quantization.Enabled && name == FullPrecision)
            {
                opened = OnHost(opened);
                BaseQuantization quantization = new(
                    folder, _recipe.Quantization, Adapters(), _recipe.StartOptions(), _recipe.Training.Precision!.Value, processor, _observer);
                opened = quantization.Run(opened, data.Calibration(_recipe.Quantization.CalibrationSamples, _recipe.Quantization.CalibrationLength), cancellationToken);
                name = quantization.StageName;
                stages.Add(evaluation.Measure(name, opened.Model, opened.Model.WeightBytes, cancellationToken));
            }

            LlamaModel model = opened.Model;
            AdapterWeights weights = AddAdapters(model);
            RunSummary summary = Train(model, weights, data, memory, cancellationToken);
            SaveAdapter(weights);
            stages.Add(evaluation.Measure($"{name} + LoRA", model, model.WeightBytes + (summary.TrainableParameters * sizeof(float)), cancellationToken));
            summary = summary with { Stages = stages };
            HtmlReport.Write(folder.Report, RunReportBuilder.Build(summary, _recipe, model, backend));
            return summary;
        }
        finally
        {
            opened.Dispose();
        }
    }

    /// <summary>Opened anew where its weights went to a device: quantising reads them on the processor.</summary>
    private ModelFolder OnHost(ModelFolder opened)
    {
        if (backend is not IDeviceBackend)
        {
            return opened;
        }

        opened.Dispose();
        return ModelFolder.Open(opened.Path);
    }

    private ModelFolder OpenBase()
    {
        string path = _recipe.Model.Path;
        if (_recipe.Model.IsEmbedded)
        {
            path = embeddedModel is not null && Directory.Exists(embeddedModel)
                ? embeddedModel
                : throw new UserErrorException("This program comes without an embedded model; name the folder of a model with model.path (--model).");
        }

        return ModelFolder.Open(path);
    }

    private void ReportData(ModelFolder opened, RunData data)
    {
        TrainingData training = data.Training;
        _observer.Report("model", $"{(_recipe.Model.IsEmbedded ? ModelRecipe.Embedded : opened.Path)}, {opened.Model.ParameterCount.ToString("N0", CultureInfo.InvariantCulture)} weights");
        _observer.Report("precision", _recipe.Training.Precision!.Value.Name());
        _observer.Report("samples", string.Create(
            CultureInfo.InvariantCulture,
            $"{training.Samples.Count:N0} with {training.Tokens:N0} tokens, {training.SupervisedTokens:N0} of them supervised{(training.Dropped > 0 ? $"; {training.Dropped} left out because their prompts fill data.maxLength" : "")}"));
        foreach (ProblemSet set in data.ProblemSets)
        {
            _observer.Report("test problems", $"{set.Problems.Count}, {set.Name}; none of them is trained on");
        }

        if (training.Samples.Max(sample => sample.Length) is var longest && longest > opened.Model.Config.MaxPositions)
        {
            throw new UserErrorException($"A sample has {longest} tokens, but the model was made for {opened.Model.Config.MaxPositions}; lower data.maxLength to that.");
        }

        _observer.ReportSample(TrainingData.Render(training.Samples[0], opened.Tokenizer));
    }

    private AdapterWeights AddAdapters(LlamaModel model)
    {
        if (_recipe.Model.Adapter is { } start)
        {
            return new AdapterWeights(model, LoraInjection.Load(model, start, trainable: true, _recipe.Lora.Dropout));
        }

        LoraConfig config = LoraInjection.ForBase(model, Adapters());
        if (_recipe.Lora.Init == AdapterStart.Zero)
        {
            LoraInjection.Inject(model, config, _recipe.Training.Seed);
        }
        else
        {
            LoraInjection.Load(model, folder.AdapterStart, trainable: true, _recipe.Lora.Dropout);
        }

        return new AdapterWeights(model, config);
    }

    private LoraConfig Adapters() => _recipe.Lora.ToConfig() with { BaseModel = _recipe.Model.Path };

    /// <summary>A base that stays as it is must have the groups that QA-LoRA needs; one that is quantised here gets them.</summary>
    private void RequireGroupsOfBase(LlamaModel model)
    {
        if (_recipe.Model.Adapter is null && (!_recipe.Quantization.Enabled || model.Linears.Any(layer => layer.Weight.Quantized is not null)))
        {
            _ = LoraInjection.ForBase(model, Adapters());
        }
    }

    private void RequireDenseForStart(LlamaModel model)
    {
        if (_recipe.Lora.Init != AdapterStart.Zero && model.Linears.Any(layer => layer.Weight.Quantized is not null))
        {
            throw new UserErrorException(
                $"lora.init is {_recipe.Lora.Init.Name()}, but the base {_recipe.Model.Path} is quantised already and what that lost is not known; use zero, name the model in full precision, or start from an adapter that tools/Quantize made with it (model.adapter).");
        }
    }

    private RunSummary Train(LlamaModel model, AdapterWeights weights, RunData data, RunMemory? memory, CancellationToken cancellationToken)
    {
        model.MoveTo(backend);
        BatchPlan plan = new(data.Training.Samples, _recipe.Data.PackedLength);
        LearningRateSchedule schedule = _recipe.Optimizer.ToSchedule(_recipe.Training.TotalSteps(plan.Rows));
        using Trainer trainer = new(model, backend, plan, _recipe.Training, schedule, _recipe.Optimizer.ToOptions());
        trainer.Reserve(memory?.Training.Activations ?? 0);
        long trainable = model.TrainableParameters.Sum(parameter => parameter.Value.Shape.Count);
        RunSummary summary = new()
        {
            Name = _recipe.Name,
            Folder = folder.Path,
            Adapter = folder.Adapter,
            ProblemSets = [.. data.ProblemSets.Select(set => set.Name)],
            Stages = [],
            TrainableParameters = trainable,
            BaseParameters = model.ParameterCount,
            OptimizerBytes = (2 * trainable * sizeof(float)) + trainer.Optimizer.StateBytes,
            PeakActivationBytes = 0,
            Steps = [],
        };
        _observer.Report("trainable", string.Create(
            CultureInfo.InvariantCulture, $"{trainable:N0} values in {model.Linears.Count(layer => layer.Adapter is not null)} adapters, {100 * summary.TrainableShare:F2} % of all"));
        _observer.Report("steps", string.Create(CultureInfo.InvariantCulture, $"{trainer.TotalSteps:N0}, each of {_recipe.Training.BatchSize * _recipe.Training.Accumulation} {(_recipe.Data.PackedLength is null ? "samples" : "packed rows")}"));
        CheckpointStore store = new(folder.Checkpoints, weights);
        new TrainingLoop(folder, trainer, store, _recipe.Training, _observer).Run(cancellationToken);
        return summary with { PeakActivationBytes = trainer.PeakActivationBytes, Steps = MetricsFile.Read(folder.Metrics) };
    }

    /// <summary>Stores the result and reads it back: what is on the disk is what was trained, bit for bit.</summary>
    private void SaveAdapter(AdapterWeights weights)
    {
        RunFolder.WriteWhole(folder.Adapter, temporary =>
        {
            weights.Save(temporary);
            RequireEqual(weights, temporary);
        });
        RequireEqual(weights, folder.Adapter);
    }

    private static void RequireEqual(AdapterWeights weights, string path)
    {
        if (!weights.Equal(path))
        {
            throw new UserErrorException($"The adapter in {path} is not what was trained; the disk may be faulty, or the files were changed. Delete that folder and resume the run.");
        }
    }
}
