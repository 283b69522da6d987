/* Stands for libraries.js where the program was built without npm: the page shows texts as they are. */
export const libraries = null;
