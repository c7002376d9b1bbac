using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Quantize;

/// <summary>Quantises the linear layers of a model folder and writes a GPTQ folder, or a bitsandbytes folder of NF4.</summary>
internal static class QuantizeCommand
{
    private static readonly GptqOptions Defaults = new();

    private static readonly Option<string> Model = CommonOptions.Model();
    private static readonly Option<string> Output = CommonOptions.OutputFolder();
    private static readonly Option<string> Method = new("--method") { Description = "gptq (needs calibration), rtn, round-to-nearest, or nf4, written as bitsandbytes does.", DefaultValueFactory = _ => "gptq" };
    private static readonly Option<int> Bits = new("--bits") { Description = "Bits of a weight: 2, 3, 4 or 8.", DefaultValueFactory = _ => Defaults.Bits };
    private static readonly Option<int> GroupSize = new("--group-size") { Description = "Inputs that share a scale; -1: one group a row.", DefaultValueFactory = _ => Defaults.GroupSize };
    private static readonly Option<bool> Symmetric = new("--symmetric") { Description = "Grids mirrored around 0." };
    private static readonly Option<bool> ActOrder = new("--act-order") { Description = "Take the columns by falling importance." };
    private static readonly Option<bool> StaticGroups = new("--static-groups") { Description = "Take all grids from the original weights." };
    private static readonly Option<double> Damping = new("--damping") { Description = "Share of the Hessian's mean diagonal that is added to it.", DefaultValueFactory = _ => Defaults.Damping };
    private static readonly Option<string?> Refine = new("--refine") { Description = "Lose less in the same file format, in about twice the time: all parts, or some of order,search,sequential,target,descent.", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<double?> TargetStrength = new("--target-strength") { Description = "How far --refine target moves layers towards the unquantised model's output, 0 to 1; follows the amount of calibration text if left out." };
    private static readonly Option<double?> AverageBits = new("--average-bits") { Description = "Choose bits and group size of every layer within this many bits a weight, scales and zero points included; --bits and --group-size do not count then." };
    private static readonly Option<string?> Evaluation = new Option<string?>("--evaluation") { Description = "Text that calibration has not seen, in any of its formats: its perplexity goes into the report." }.NotEmpty();
    private static readonly Option<bool> Compare = new("--compare") { Description = "Also round to nearest and, with --refine, run plain GPTQ, for the report; takes their time as well." };
    private static readonly Option<string> Targets = new("--targets") { Description = "all, or layers such as q_proj,k_proj,v_proj,o_proj.", DefaultValueFactory = _ => "all" };
    private static readonly Option<string?> Calibration = new Option<string?>("--calibration") { Description = "JSONL (GSM8K or any training format), plain text, or a JSON array of arrays of token ids." }.NotEmpty();
    private static readonly Option<int?> CalibrationSamples = new("--calibration-samples") { Description = "Samples at most; 128 of a text and all rows of token ids if left out." };
    private static readonly Option<int?> CalibrationLength = new("--calibration-length") { Description = $"Tokens of a sample of text at most, BOS included; {CalibrationReader.DefaultLength}, or what the model has positions for, if left out." };
    private static readonly Option<string> Format = new("--format") { Description = "gptq, which every loader reads, or gptq_v2.", DefaultValueFactory = _ => "gptq" };
    private static readonly Option<int> Threads = CommonOptions.Threads();
    private static readonly Option<string> Device = new("--device") { Description = "auto or cpu: models are quantised on the CPU.", DefaultValueFactory = _ => "auto" };
    private static readonly Option<Precision?> PrecisionOption = CommonOptions.PrecisionOption();

    public static RootCommand Create()
    {
        RootCommand command = new("Quantises a model and writes it in the GPTQ layout, with a report of the error per layer.")
        {
            Model, Output, Method, Bits, GroupSize, Symmetric, ActOrder, StaticGroups, Damping, Refine, TargetStrength, AverageBits, Evaluation, Compare, Targets, Calibration, CalibrationSamples, CalibrationLength,
            Format, BlockwiseCommand.Block, BlockwiseCommand.DoubleQuantization, DistillationStage.Steps, AdapterStage.Init, AdapterStage.LoftqIterations, AdapterStage.Rank, AdapterStage.Alpha,
            Threads, Device, PrecisionOption,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        string methodName = result.GetValue(Method)!;
        BlockwiseCommand.RequireFit(
            result, methodName, Bits, GroupSize, Symmetric, ActOrder, StaticGroups, Damping, Refine, TargetStrength, AverageBits, Evaluation, Compare, Calibration, CalibrationSamples, CalibrationLength, Format,
            DistillationStage.Steps, AdapterStage.Init, AdapterStage.LoftqIterations, AdapterStage.Rank, AdapterStage.Alpha);
        if (methodName == BlockwiseCommand.Method)
        {
            return RunBlockwise(result);
        }

        QuantizationMethod method = ParseMethod(result.GetValue(Method)!);
        GptqFormat format = ParseFormat(result.GetValue(Format)!);
        GptqOptions options = Options(result, method);
        string output = result.GetValue(Output)!;
        int distillSteps = DistillationStage.ParseSteps(result);
        AdapterStartOptions start = AdapterStage.Parse(result, distillSteps);
        CommonOptions.RequireEmpty(output);
        using CpuBackend backend = CreateBackend(result.GetValue(Device)!, result.GetValue(Threads));
        Precision precision = result.GetValue(PrecisionOption) ?? backend.PreferredPrecision;
        System.Console.WriteLine($"device  {backend.Description}; {precision.Name()}");
        options = options with { CalibrationPrecision = precision };
        options.Validate();
        using ModelFolder folder = ModelFolder.Open(result.GetValue(Model)!);
        string[] targets = ParseTargets(result.GetValue(Targets)!);
        RequireQuantizable(folder, targets, options.Bits);
        bool calibrates = method == QuantizationMethod.Gptq || distillSteps > 0 || start.NeedsCalibration;
        IReadOnlyList<int[]> calibration = calibrates ? ReadCalibration(result, folder) : [];

        IReadOnlyList<int[]> evaluation = result.GetValue(Evaluation) is { } text ? ReadSamples(text, result, folder) : [];
        double? averageBits = result.GetValue(AverageBits);
        if (averageBits is not null && method != QuantizationMethod.Gptq)
        {
            throw new UserErrorException("--average-bits measures layers with calibration data, but --method is rtn; leave one of them out.");
        }

        if (averageBits is not null && start.Requantizes)
        {
            throw new UserErrorException($"--loftq-iterations is {start.LoftqIterations}, which quantises again with --bits and would undo --average-bits; use 1, or leave out --average-bits.");
        }

        // Made before the work, so that a place that cannot be written is known at once.
        using OutputFolder target = OutputFolder.Create(output);
        QuantizationComparison comparison = new(folder.Path, backend, options, calibration, evaluation, targets);
        List<QuantizationVariant> variants = evaluation.Count > 0 || result.GetValue(Compare) ? [comparison.Base(folder.Model)] : [];
        variants.AddRange(result.GetValue(Compare) ? comparison.Others() : []);
        long started = Stopwatch.GetTimestamp();
        long bytesBefore = folder.Model.WeightBytes;
        MixedPrecisionPlan? plan = averageBits is { } average ? Plan(folder.Model, backend, options, calibration, average, targets) : null;
        IReadOnlyList<LayerQuantization> layers = Quantize(folder.Model, backend, method, options, calibration, targets, plan);
        DistillationResult? distillation = distillSteps > 0
            ? DistillationStage.Run(folder, backend, calibration, new DistillationOptions { Steps = distillSteps, Precision = options.CalibrationPrecision })
            : null;
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        variants.Add(new QuantizationVariant(NameOf(method, options, distillation), layers) { Seconds = seconds, Bytes = folder.Model.WeightBytes, Perplexity = comparison.Perplexity(folder.Model) });
        IReadOnlyList<AdapterStartResult> adapters = AdapterStage.Run(
            result, folder, backend, start with { Method = method, Quantization = options }, calibration, target.Temporary);
        QuantizationReport report = new(method, options, format, layers)
        {
            Model = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder.Path)),
            Distillation = distillation,
            Adapters = adapters,
            CalibrationFile = calibrates ? Path.GetFileName(result.GetValue(Calibration)) : null,
            CalibrationSamples = calibration.Count,
            CalibrationTokens = calibration.Sum(sample => (long)sample.Length),
            BytesBefore = bytesBefore,
            BytesAfter = folder.Model.WeightBytes,
            Seconds = seconds,
            Variants = variants,
            Plan = plan,
        };
        Write(target.Temporary, folder, options, format, method, plan);
        report.Save(target.Temporary);
        ToolProgram.Cancellation.ThrowIfCancellationRequested();
        target.Commit();
        report.Show();
        System.Console.WriteLine($"Written to {output}; {QuantizationReport.PageName} there tells of every layer");
        return ToolProgram.Success;
    }

    private static int RunBlockwise(ParseResult result)
    {
        string output = result.GetValue(Output)!;
        CommonOptions.RequireEmpty(output);
        using CpuBackend backend = CreateBackend(result.GetValue(Device)!, result.GetValue(Threads));
        using ModelFolder folder = ModelFolder.Open(result.GetValue(Model)!);
        string[] targets = ParseTargets(result.GetValue(Targets)!);
        RequireQuantizable(folder, targets, bits: null);
        return BlockwiseCommand.Run(result, backend, folder, output, targets);
    }

    private static string NameOf(QuantizationMethod method, GptqOptions options, DistillationResult? distillation)
    {
        string name = method == QuantizationMethod.RoundToNearest ? "round to nearest" : options.Refinements == Refinements.None ? "GPTQ" : "GPTQ refined";
        return distillation is null ? name : $"{name}, scales distilled";
    }

    /// <summary>Quantising is the processor's work.</summary>
    private static CpuBackend CreateBackend(string device, int threads) => device is "auto" or "cpu"
        ? CommonOptions.CreateProcessor(threads)
        : throw new UserErrorException($"--device is {device}, but models are quantised on the CPU; use --device cpu, or leave it out.");

    private static QuantizationMethod ParseMethod(string method) => method switch
    {
        "gptq" => QuantizationMethod.Gptq,
        "rtn" => QuantizationMethod.RoundToNearest,
        _ => throw new UserErrorException($"--method is {method}, allowed gptq, rtn and nf4."),
    };

    private static GptqFormat ParseFormat(string format) => format switch
    {
        "gptq" => GptqFormat.V1,
        "gptq_v2" => GptqFormat.V2,
        _ => throw new UserErrorException($"--format is {format}, allowed gptq and gptq_v2."),
    };

    private static GptqOptions Options(ParseResult result, QuantizationMethod method)
    {
        GptqOptions options = new()
        {
            Bits = result.GetValue(Bits),
            GroupSize = result.GetValue(GroupSize),
            Symmetric = result.GetValue(Symmetric),
            ActOrder = result.GetValue(ActOrder),
            StaticGroups = result.GetValue(StaticGroups),
            Damping = result.GetValue(Damping),
            TargetStrength = result.GetValue(TargetStrength),
        };
        if (result.GetResult(Refine) is not null)
        {
            options = method == QuantizationMethod.Gptq
                ? options.WithRefinements(result.GetValue(Refine) ?? "all")
                : throw new UserErrorException("--refine refines GPTQ, but --method is rtn; leave one of them out.");
        }

        options.Validate();
        return options;
    }

    private static string[] ParseTargets(string targets) => targets == "all"
        ? []
        : targets.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } names
            ? names
            : throw new UserErrorException("--targets names no layer; give all, or layers such as q_proj,k_proj,v_proj,o_proj.");

    /// <param name="folder">The model.</param>
    /// <param name="targets">Short names; empty for all.</param>
    /// <param name="bits">Of codes in words, which layers may not fill; null where there are none.</param>
    private static void RequireQuantizable(ModelFolder folder, string[] targets, int? bits)
    {
        if (folder.Checkpoint.Config.Quantization is { } settings)
        {
            throw new UserErrorException($"{folder.Path} is quantised already ({settings.Description}); start from the model in full precision.");
        }

        string[] known = [.. folder.Model.Linears.Select(layer => layer.ShortName).Distinct()];
        if (targets.FirstOrDefault(target => !known.Contains(target)) is { } unknown)
        {
            throw new UserErrorException($"--targets names {unknown}, which the model does not have; choose from {string.Join(", ", known)}, or all.");
        }

        foreach (LinearLayer layer in folder.Model.Linears.Where(layer => targets.Length == 0 || targets.Contains(layer.ShortName)))
        {
            if (bits is { } width && GptqCheckpoint.PaddingWarning(layer.Name, layer.Weight.OutDim, layer.Weight.InDim, width) is { } warning)
            {
                System.Console.Error.WriteLine(warning);
                break;
            }
        }
    }

    private static IReadOnlyList<int[]> ReadCalibration(ParseResult result, ModelFolder folder)
    {
        string path = result.GetValue(Calibration)
            ?? throw new UserErrorException("--method gptq, --distill and --init error need --calibration FILE: a JSONL or text file like what the model will see, or token ids; or use --method rtn without them.");
        IReadOnlyList<int[]> samples = ReadSamples(path, result, folder);
        System.Console.WriteLine($"Calibrating on {samples.Count} samples, {samples.Sum(sample => (long)sample.Length)} tokens of {path}");
        return samples;
    }

    private static IReadOnlyList<int[]> ReadSamples(string path, ParseResult result, ModelFolder folder)
    {
        LlamaConfig config = folder.Model.Config;
        int length = result.GetValue(CalibrationLength) ?? Math.Min(CalibrationReader.DefaultLength, config.MaxPositions);
        if (length > config.MaxPositions)
        {
            throw new UserErrorException($"--calibration-length is {length}, but the model has {config.MaxPositions} positions; give at most that.");
        }

        CalibrationReader reader = new() { Samples = result.GetValue(CalibrationSamples), Length = length };
        return reader.Load(path, () => folder.Tokenizer, config.VocabularySize);
    }

    private static MixedPrecisionPlan Plan(
        LlamaModel model, CpuBackend backend, GptqOptions options, IReadOnlyList<int[]> calibration, double averageBits, string[] targets)
    {
        int count = model.Linears.Count(layer => targets.Length == 0 || targets.Contains(layer.ShortName));
        int done = 0;
        MixedPrecisionPlan plan = ConsoleProgress.Run("measuring layers", count, progress => MixedPrecision.Plan(
            model,
            backend,
            options,
            calibration,
            averageBits,
            targets,
            new SynchronousProgress<string>(_ => progress.Update(++done)),
            ToolProgram.Cancellation));
        string settings = string.Join(", ", plan.Settings.Values.GroupBy(setting => setting).OrderBy(group => group.Key.Bits).ThenByDescending(group => group.Key.GroupSize).Select(group => $"{group.Count()} × {group.Key}"));
        System.Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{plan.AverageBits:F3} bits a weight: {settings}"));
        return plan;
    }

    private static IReadOnlyList<LayerQuantization> Quantize(
        LlamaModel model,
        CpuBackend backend,
        QuantizationMethod method,
        GptqOptions options,
        IReadOnlyList<int[]> calibration,
        string[] targets,
        MixedPrecisionPlan? plan)
    {
        int count = model.Linears.Count(layer => targets.Length == 0 || targets.Contains(layer.ShortName));
        int done = 0;
        return ConsoleProgress.Run("quantising", count, progress => ModelQuantizer.Quantize(
            model,
            backend,
            method,
            options,
            calibration,
            targets,
            new SynchronousProgress<LayerQuantization>(layer =>
            {
                progress.Line(Describe(layer));
                progress.Update(++done);
            }),
            settings: plan?.Settings,
            cancellationToken: ToolProgram.Cancellation));
    }

    private static string Describe(LayerQuantization layer)
    {
        string warning = layer.Warning is null ? "" : $"  {layer.Warning}";
        return double.IsNaN(layer.Loss)
            ? $"{layer.Layer}  rounded to nearest{warning}"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{layer.Layer}  loss {layer.Loss:G4}, round-to-nearest {layer.RoundToNearestLoss:G4}, ratio {QuantizationReport.Ratio(layer):F3}, damping {layer.Damping:G3}, {layer.Duration.TotalSeconds:F1} s{warning}");
    }

    private static void Write(string path, ModelFolder folder, GptqOptions options, GptqFormat format, QuantizationMethod method, MixedPrecisionPlan? plan)
    {
        GptqConfig settings = new()
        {
            Bits = options.Bits,
            GroupSize = options.GroupSize,
            Symmetric = options.Symmetric,
            DescendingActivations = options.ActOrder && !options.StaticGroups && method == QuantizationMethod.Gptq,
            Format = format,
            Damping = method == QuantizationMethod.Gptq ? options.Damping : null,
        };
        GptqCheckpoint.Write(
            path,
            folder.Checkpoint,
            plan?.Describe(settings) ?? settings,
            folder.Model.Linears.Where(layer => layer.Weight.Quantized is not null).ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!));
    }
}
