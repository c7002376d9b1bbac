using System.CommandLine;
using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Export;

/// <summary><c>export merge</c>: W + s·B·A as a folder that needs no adapter. QA-LoRA goes into a quantised base as offsets, without rounding.</summary>
internal static class MergeCommand
{
    private static readonly Option<string> Model = CommonOptions.Model();
    private static readonly Option<string> Adapter = new Option<string>("--adapter") { Description = "PEFT folder to merge.", Required = true }.NotEmpty();
    private static readonly Option<string> Output = CommonOptions.OutputFolder();
    private static readonly Option<string?> Type = new("--dtype") { Description = "float32, bfloat16 or float16; as stored if left out." };
    private static readonly Option<bool> Requantize = new("--requantize") { Description = "Merge into a quantised base by rounding it again; the error this brings is printed. Adapters of QA-LoRA need it not." };

    public static Command Create()
    {
        Command command = new("merge", "Merges an adapter into its base and writes a Hugging Face folder.") { Model, Adapter, Output, Type, Requantize };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        string? type = result.GetValue(Type);
        SafetensorsType? storedAs = ParseType(type);
        string output = result.GetValue(Output)!;
        CommonOptions.RequireEmpty(output);
        using ModelFolder folder = ModelFolder.Open(result.GetValue(Model)!, result.GetValue(Adapter));
        bool quantized = folder.Checkpoint.Config.Quantization is not null;
        bool rounds = result.GetValue(Requantize);
        if (quantized && !rounds && !folder.Model.Linears.Any(layer => layer.Adapter is { GroupSize: > 0 }))
        {
            throw new UserErrorException(
                $"{folder.Path} is quantised: merging rounds it again and loses accuracy; merge into the model in full precision, or add --requantize.");
        }

        if (quantized && storedAs is not null)
        {
            throw new UserErrorException($"--dtype {type} does not go with a quantised base, whose codes keep their bits; leave it out.");
        }

        using OutputFolder target = OutputFolder.Create(output);
        if (quantized)
        {
            WriteQuantized(folder, target.Temporary, rounds);
        }
        else
        {
            WriteDense(folder, target.Temporary, storedAs, type);
        }

        ToolProgram.Cancellation.ThrowIfCancellationRequested();
        target.Commit();
        int merged = folder.Model.Linears.Count(layer => layer.Adapter is not null);
        System.Console.WriteLine($"{merged} layers merged; written to {output}");
        return ToolProgram.Success;
    }

    private static SafetensorsType? ParseType(string? type) => type switch
    {
        null => null,
        "float32" => SafetensorsType.F32,
        "bfloat16" => SafetensorsType.BF16,
        "float16" => SafetensorsType.F16,
        _ => throw new UserErrorException($"--dtype is {type}, allowed float32, bfloat16 and float16."),
    };

    private static void WriteDense(ModelFolder folder, string path, SafetensorsType? storedAs, string? type)
    {
        HuggingFaceCheckpoint source = folder.Checkpoint;
        Dictionary<string, LinearLayer> merged = folder.Model.Linears.Where(layer => layer.Adapter is not null).ToDictionary(layer => $"{layer.Name}.weight");
        SafetensorsWriter writer = new();
        foreach (string name in LlamaTensorNames.Tensors(source.Config).Keys)
        {
            SafetensorsType stored = storedAs ?? source.Info(name).Type;
            if (!merged.TryGetValue(name, out LinearLayer? layer))
            {
                writer.Add(name, source.Get(name), stored);
                continue;
            }

            writer.AddFloats(
                name,
                () =>
                {
                    ToolProgram.Cancellation.ThrowIfCancellationRequested();
                    return LoraMerge.MergedWeight(layer);
                },
                [layer.Weight.OutDim, layer.Weight.InDim],
                stored);
        }

        HuggingFaceCheckpoint.Write(path, source.Config with { StoredType = type ?? source.Config.StoredType }, writer, source.Folder);
    }

    private static void WriteQuantized(ModelFolder folder, string path, bool rounds)
    {
        if (!rounds)
        {
            LoraMerge.RequireExact(folder.Model);
        }

        if (folder.Checkpoint.Config.Quantization is BitsAndBytesConfig)
        {
            WriteBlockwise(folder, path);
            return;
        }

        if (rounds)
        {
            foreach ((string layer, double error) in LoraMerge.MergeQuantized(folder.Model))
            {
                ShowError(layer, error);
            }
        }
        else
        {
            LoraMerge.MergeOffsets(folder.Model);
        }

        // What AWQ's layout holds, GPTQ's can, and more programs read it.
        GptqConfig settings = folder.Checkpoint.Config.Quantization is AwqConfig awq ? awq.ToGptq() : (GptqConfig)folder.Checkpoint.Config.Quantization!;
        Dictionary<string, QuantizedMatrix> quantized = folder.Model.Linears
            .Where(layer => layer.Weight.Quantized is not null).ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!);
        Dictionary<string, Tensor> offsets = folder.Model.Linears
            .Where(layer => layer.Weight.Offsets is not null).ToDictionary(layer => layer.Name, layer => layer.Weight.Offsets!);
        GptqCheckpoint.Write(path, folder.Checkpoint, settings, quantized, MergedDense(folder), offsets);
    }

    /// <summary>Layers without an adapter keep their bytes.</summary>
    private static void WriteBlockwise(ModelFolder folder, string path)
    {
        Dictionary<string, BlockwiseMatrix> merged = [];
        foreach (LinearLayer layer in folder.Model.Linears.Where(layer => layer.Adapter is not null && layer.Weight.Quantized is not null))
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            BlockwiseMatrix before = BitsAndBytesCheckpoint.ReadLayer(folder.Checkpoint, layer.Name);
            BlockwiseOptions options = new() { Book = before.Book, BlockSize = before.BlockSize, DoubleQuantization = before.Nested is not null };
            (BlockwiseMatrix matrix, double error) = LoraMerge.MergeBlockwise(layer, options);
            merged.Add(layer.Name, matrix);
            ShowError(layer.Name, error);
        }

        Dictionary<string, Tensor> dense = folder.Model.Linears.Where(layer => layer.Adapter is not null && layer.Weight.Dense is not null).ToDictionary(
            layer => $"{layer.Name}.weight", layer => Tensor.From(LoraMerge.MergedWeight(layer), layer.Weight.Dense!.Shape));
        BitsAndBytesCheckpoint.Write(path, folder.Checkpoint, merged, dense);
    }

    private static Dictionary<string, Tensor> MergedDense(ModelFolder folder) => folder.Model.Linears
        .Where(layer => layer.IsMerged && layer.Weight.Dense is not null).ToDictionary(layer => $"{layer.Name}.weight", layer => layer.Weight.Dense!);

    private static void ShowError(string layer, double error) =>
        System.Console.WriteLine($"{layer}  relative error of rounding again {error.ToString("F4", CultureInfo.InvariantCulture)}");
}
