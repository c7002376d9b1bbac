using System.Text.Json;
using System.Text.Json.Serialization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Quantises the base of a run and stores it in the run's folder, in the GPTQ layout. The run then goes on with what was read back
/// from there, so that a resumed run trains on the very same codes.
/// </summary>
/// <param name="folder">The run's files.</param>
/// <param name="recipe">How.</param>
/// <param name="precision">Of the products of the calibration.</param>
/// <param name="backend">Runs the calibration.</param>
/// <param name="observer">Told of the progress.</param>
internal sealed class BaseQuantization(RunFolder folder, QuantizationRecipe recipe, Precision precision, IBackend backend, IRunObserver observer)
{
    private const string ReportFile = "quantization_report.json";

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>What the quantised base is called.</summary>
    public string StageName => $"{(recipe.Method == QuantizationMethod.Gptq ? "GPTQ" : "RTN")} int{recipe.Bits}";

    /// <summary>Quantises, or opens what an earlier process of this run stored.</summary>
    /// <param name="source">The dense base; closed, because another folder takes its place.</param>
    /// <param name="calibration">Token ids.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>The model to go on with.</returns>
    public ModelFolder Run(ModelFolder source, IReadOnlyList<int[]> calibration, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(folder.Quantized))
        {
            IReadOnlyList<LayerQuantization> layers = Quantize(source.Model, calibration, cancellationToken);
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

    private IReadOnlyList<LayerQuantization> Quantize(LlamaModel model, IReadOnlyList<int[]> calibration, CancellationToken cancellationToken)
    {
        int total = model.Linears.Count(layer => recipe.Targets is not { Count: > 0 } || recipe.Targets.Contains(layer.ShortName));
        return observer.Track("quantising", total, progress =>
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
            AtomicFile.WriteText(Path.Combine(temporary, ReportFile), JsonSerializer.Serialize(layers, Json) + "\n");
        });
    }

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
