using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Quantises the base of a run and stores it in the run's folder, in the layout of GPTQ or, of NF4, of bitsandbytes. The run then goes on
/// with what was read back from there, so that a resumed run trains on the very same codes.
/// </summary>
/// <param name="folder">The run's files.</param>
/// <param name="recipe">How.</param>
/// <param name="lora">The adapters' settings.</param>
/// <param name="start">What the adapters start from.</param>
/// <param name="precision">Of the products of the calibration.</param>
/// <param name="backend">Quantises: that is the processor's work.</param>
/// <param name="observer">Told of the progress.</param>
internal sealed class BaseQuantization(
    RunFolder folder, QuantizationRecipe recipe, LoraConfig lora, AdapterStartOptions start, Precision precision, CpuBackend backend, IRunObserver observer)
{
    private const string ReportFile = "quantization_report.json";

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>What the quantised base is called.</summary>
    public string StageName => recipe.Method switch
    {
        QuantizationMethod.Nf4 => "NF4",
        QuantizationMethod.Gptq => $"GPTQ int{recipe.Bits}",
        _ => $"RTN int{recipe.Bits}",
    };

    /// <summary>Quantises, or opens what an earlier process of this run stored.</summary>
    /// <param name="source">The dense base; closed, because another folder takes its place.</param>
    /// <param name="calibration">Token ids.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>The model to go on with.</returns>
    public ModelFolder Run(ModelFolder source, IReadOnlyList<int[]> calibration, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(folder.Quantized) && recipe.Method == QuantizationMethod.Nf4)
        {
            StoreBlockwise(source, cancellationToken);
        }
        else if (!Directory.Exists(folder.Quantized))
        {
            IReadOnlyList<LayerQuantization> layers = Quantize(source.Model, calibration, cancellationToken);
            if (recipe.DistillSteps > 0)
            {
                Distil(source, calibration, cancellationToken);
            }

            if (start.Start != AdapterStart.Zero)
            {
                StartAdapters(source, calibration, cancellationToken);
            }

            if (PaddingWarning(source.Model) is { } warning)
            {
                observer.Report("note", warning);
            }

            Store(source, layers);
        }

        observer.ReportQuantization(ReadReport());

        // Before, not after: two copies of the base need not be there at once.
        foreach (LinearLayer layer in source.Model.Linears)
        {
            layer.Weight.Quantized?.Dispose();
        }

        source.Dispose();
        return ModelFolder.Open(folder.Quantized);
    }

    private static string? PaddingWarning(LlamaModel model) => model.Linears
        .Where(layer => layer.Weight.Quantized is not null)
        .Select(layer => GptqCheckpoint.PaddingWarning(layer.Name, layer.Weight.OutDim, layer.Weight.InDim, layer.Weight.Quantized!.Bits))
        .FirstOrDefault(warning => warning is not null);

    private int CountTargets(LlamaModel model) => model.Linears.Count(layer => recipe.Targets is not { Count: > 0 } || recipe.Targets.Contains(layer.ShortName));

    private void StoreBlockwise(ModelFolder source, CancellationToken cancellationToken)
    {
        IReadOnlyList<BlockwiseLayer> layers = observer.Track("quantising", CountTargets(source.Model), progress =>
        {
            int done = 0;
            return BlockwiseModelQuantizer.Quantize(
                source.Model,
                backend,
                recipe.ToBlockwiseOptions(),
                recipe.Targets,
                new DirectProgress<BlockwiseLayer>(layer => progress(++done, layer.Report.Layer)),
                cancellationToken);
        });
        RunFolder.WriteWhole(folder.Quantized, temporary =>
        {
            BitsAndBytesCheckpoint.Write(temporary, source.Checkpoint, layers.ToDictionary(layer => layer.Report.Layer, layer => layer.Matrix));
            WriteReport(temporary, [.. layers.Select(layer => layer.Report)]);
        });
    }

    private IReadOnlyList<LayerQuantization> Quantize(LlamaModel model, IReadOnlyList<int[]> calibration, CancellationToken cancellationToken)
    {
        return observer.Track("quantising", CountTargets(model), progress =>
        {
            int done = 0;
            return ModelQuantizer.Quantize(
                model,
                backend,
                recipe.Method,
                recipe.ToOptions() with { CalibrationPrecision = precision },
                calibration,
                recipe.Targets,
                new DirectProgress<LayerQuantization>(layer => progress(++done, layer.Layer)),
                cancellationToken: cancellationToken);
        });
    }

    private void Distil(ModelFolder source, IReadOnlyList<int[]> calibration, CancellationToken cancellationToken)
    {
        using ModelFolder teacher = ModelFolder.Open(source.Path);
        DistillationOptions options = new() { Steps = recipe.DistillSteps, Precision = precision };
        DistillationResult result = observer.Track("distilling", options.Steps, progress => ScaleDistillation.Run(
            source.Model,
            teacher.Model,
            backend,
            calibration,
            options,
            new DirectProgress<DistillationStep>(step => progress(step.Step, string.Create(CultureInfo.InvariantCulture, $"divergence {step.Divergence:F4}"))),
            cancellationToken));
        observer.Report("distilled", string.Create(
            CultureInfo.InvariantCulture,
            $"held-out divergence from full precision {result.Before:F4} → {result.After:F4} at step {result.KeptStep} of {result.Steps}"));
    }

    /// <summary>Stores the adapters before the base, whose presence tells a resumed run that both are there.</summary>
    private void StartAdapters(ModelFolder source, IReadOnlyList<int[]> calibration, CancellationToken cancellationToken)
    {
        using ModelFolder full = ModelFolder.Open(source.Path);
        int total = source.Model.Linears.Count(layer => layer.Weight.Quantized is not null && lora.Targets(layer.Name));
        IReadOnlyList<AdapterStartResult> results = observer.Track("starting adapters", total, progress =>
        {
            int done = 0;
            return AdapterInitialization.Inject(
                source.Model, full.Model, backend, lora, start, calibration,
                new DirectProgress<AdapterStartResult>(layer => progress(++done, layer.Layer)), cancellationToken);
        });
        observer.Report("adapters start", string.Create(
            CultureInfo.InvariantCulture,
            $"{start.Start.Name()}, {100 * (1 - (results.Sum(result => result.After) / results.Sum(result => result.Before))):F1} % of the quantised layers' error made up for"));
        RunFolder.WriteWhole(folder.AdapterStart, temporary => PeftCheckpoint.Write(temporary, LoraInjection.Extract(source.Model, lora)));
        LoraInjection.Remove(source.Model);
    }

    private void Store(ModelFolder source, IReadOnlyList<LayerQuantization> layers)
    {
        Dictionary<string, QuantizedMatrix> matrices = [];
        foreach (LinearLayer layer in source.Model.Linears)
        {
            if (layer.Weight.Quantized is { } matrix)
            {
                matrices.Add(layer.Name, matrix);
            }
        }

        GptqOptions options = recipe.ToOptions();
        GptqConfig settings = new()
        {
            Bits = options.Bits,
            GroupSize = options.GroupSize,
            Symmetric = options.Symmetric,
            DescendingActivations = options.ActOrder && !options.StaticGroups,
            Damping = options.Damping,
        };
        RunFolder.WriteWhole(folder.Quantized, temporary =>
        {
            GptqCheckpoint.Write(temporary, source.Checkpoint, settings, matrices);
            WriteReport(temporary, layers);
        });
    }

    private static void WriteReport(string path, IReadOnlyList<LayerQuantization> layers) =>
        AtomicFile.WriteText(Path.Combine(path, ReportFile), JsonSerializer.Serialize(layers, Json) + "\n");

    private LayerQuantization[] ReadReport()
    {
        string path = Path.Combine(folder.Quantized, ReportFile);
        try
        {
            return JsonSerializer.Deserialize<LayerQuantization[]>(File.ReadAllText(path), Json) ?? throw new JsonException("it is empty");
        }
        catch (Exception exception) when (exception is JsonException or IOException)
        {
            throw new UserErrorException($"{path} is damaged ({exception.Message}); delete the folder {folder.Quantized}, and the base is quantised again.", exception);
        }
    }
}
