using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// The files of a run. Whatever stands under its own name is whole: files and folders are written under a name that ends in
/// <c>.tmp</c> and renamed, and leftovers of a killed process are deleted when the run is resumed.
/// </summary>
public sealed class RunFolder
{
    private const string RecipeFile = "recipe.json";
    private const string Temporary = ".tmp";

    private RunFolder(string path, bool isResumed) => (Path, IsResumed) = (System.IO.Path.GetFullPath(path), isResumed);

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Whether the run was begun earlier.</summary>
    public bool IsResumed { get; }

    /// <summary><c>checkpoints</c>, with <c>step-N</c> folders.</summary>
    public string Checkpoints => File("checkpoints");

    /// <summary><c>quantized</c>: the base as the adapters are trained on it, in the GPTQ layout.</summary>
    public string Quantized => File("quantized");

    /// <summary><c>adapter</c>: the result, in PEFT's layout.</summary>
    public string Adapter => File("adapter");

    /// <summary><c>adapter-start</c>: what the adapters are before the first step, where they start from the base's error.</summary>
    public string AdapterStart => File("adapter-start");

    /// <summary><c>metrics.jsonl</c>: one line a step.</summary>
    public string Metrics => File("metrics.jsonl");

    /// <summary><c>report.html</c></summary>
    public string Report => File("report.html");

    /// <summary>Begins a run.</summary>
    /// <param name="path">Empty or absent.</param>
    /// <param name="recipe">Stored first, so that the run can be resumed from then on.</param>
    /// <exception cref="UserErrorException">The folder holds something, or cannot be written.</exception>
    public static RunFolder Create(string path, Recipe recipe)
    {
        RunFolder folder = new(path, isResumed: false);
        if (System.IO.File.Exists(folder.Path))
        {
            throw new UserErrorException($"{path} is a file; name a folder that is empty or absent.");
        }

        // All that a run killed in its first moment can have left.
        DeleteFiles(folder.Path, RecipeFile + ".*" + Temporary);
        if (Directory.Exists(folder.Path) && Directory.EnumerateFileSystemEntries(folder.Path).Any())
        {
            throw new UserErrorException($"The output folder {path} is not empty; name another one, delete it first, or resume the run in it.");
        }

        folder.Store(recipe);
        return folder;
    }

    /// <summary>Goes on with a run.</summary>
    /// <param name="path">Its folder.</param>
    /// <param name="overrides">Settings to change, <c>section.key=value</c>; only those that do not change the result.</param>
    /// <param name="recipe">The recipe that the run began with.</param>
    /// <exception cref="UserErrorException">There is no run in the folder, or an override would change its result.</exception>
    public static RunFolder Resume(string path, IReadOnlyCollection<string> overrides, out Recipe recipe)
    {
        RunFolder folder = new(path, isResumed: true);
        string stored = folder.File(RecipeFile);
        if (!System.IO.File.Exists(stored))
        {
            throw new UserErrorException($"{path} holds no {RecipeFile}, so there is no run to resume; name the folder of a run, or begin a new one with --output.");
        }

        Recipe original = RecipeReader.Read(stored, []);
        recipe = RecipeReader.Read(stored, overrides);
        Recipe harmless = original with
        {
            Training = original.Training with { SaveEvery = recipe.Training.SaveEvery, KeepCheckpoints = recipe.Training.KeepCheckpoints },
        };
        if (RecipeReader.ToJson(harmless) != RecipeReader.ToJson(recipe))
        {
            throw new UserErrorException("A resumed run keeps its recipe, or its result would be neither the one nor the other; only training.saveEvery and training.keepCheckpoints may change. Leave out the other settings, or begin a new run.");
        }

        folder.DeleteLeftovers();
        return folder;
    }

    /// <summary><c>eval/…json</c> of a state of the model and a set of problems.</summary>
    public string Evaluation(string stage, string problems) => File(System.IO.Path.Combine("eval", $"{Slug(stage)}.{Slug(problems)}.json"));

    /// <summary>Keeps the recipe as it is carried out, with what it left to this machine: a resumed run decides nothing anew.</summary>
    internal void Store(Recipe recipe) => AtomicFile.WriteText(File(RecipeFile), RecipeReader.ToJson(recipe));

    /// <summary>Takes back a folder that was just created, because the run cannot even begin.</summary>
    internal void Abandon()
    {
        if (!IsResumed)
        {
            System.IO.File.Delete(File(RecipeFile));
            if (!Directory.EnumerateFileSystemEntries(Path).Any())
            {
                Directory.Delete(Path);
            }
        }
    }

    /// <summary>Makes a folder that is there as a whole or not at all.</summary>
    /// <param name="target">Its name; nothing happens where it exists.</param>
    /// <param name="write">Fills the folder it is given.</param>
    /// <exception cref="UserErrorException">The disk is full or not writable.</exception>
    internal static void WriteWhole(string target, Action<string> write)
    {
        if (Directory.Exists(target))
        {
            return;
        }

        string temporary = target + Temporary;
        try
        {
            DeleteFolder(temporary);
            Directory.CreateDirectory(temporary);
            write(temporary);
            Directory.Move(temporary, target);
        }
        catch (Exception exception)
        {
            TryDelete(temporary);
            if (exception is IOException or UnauthorizedAccessException)
            {
                throw new UserErrorException($"{target} could not be saved ({exception.Message}); what was saved earlier is intact. Free space and resume.", exception);
            }

            throw;
        }
    }

    /// <summary>Deletes a folder so that a kill in between leaves nothing under its name.</summary>
    internal static void DeleteWhole(string folder)
    {
        string temporary = folder + Temporary;
        DeleteFolder(temporary);
        Directory.Move(folder, temporary);
        DeleteFolder(temporary);
    }

    private static void DeleteFolder(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            DeleteFolder(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The first failure is the one worth reporting.
        }
    }

    private static void DeleteFiles(string folder, string pattern)
    {
        foreach (string file in Directory.Exists(folder) ? Directory.GetFiles(folder, pattern) : [])
        {
            System.IO.File.Delete(file);
        }
    }

    private static string Slug(string text) => string.Concat(text.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '-'));

    private void DeleteLeftovers()
    {
        foreach (string folder in new[] { Path, Checkpoints, File("eval") })
        {
            DeleteFiles(folder, "*" + Temporary);
            foreach (string unfinished in Directory.Exists(folder) ? Directory.GetDirectories(folder, "*" + Temporary) : [])
            {
                DeleteFolder(unfinished);
            }
        }
    }

    private string File(string name) => System.IO.Path.Combine(Path, name);
}
